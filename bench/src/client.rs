//! What every contender written in Rust is told, and its TLS configuration.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::Failure;

/// The identity of every contender.
pub const DEVICE: &str = "bench-device";

/// The topic of every message: IoT Hub's telemetry topic without properties.
pub const TOPIC: &str = "devices/bench-device/messages/events/";

/// The arguments of a contender. Those written in C take the same names.
#[derive(Debug, Clone, Args)]
pub struct Task {
    #[arg(long, default_value = "localhost")]
    pub host: String,
    #[arg(long)]
    pub port: u16,
    /// PEM file with the hub's authority.
    #[arg(long)]
    pub ca: PathBuf,
    /// Messages to publish.
    #[arg(long)]
    pub count: u64,
    /// Messages that may wait for their acknowledgement at one time.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub window: u16,
    /// Bytes in a message.
    #[arg(long, default_value_t = 256)]
    pub size: usize,
}

impl Task {
    pub fn payload(&self) -> Vec<u8> {
        vec![b'x'; self.size]
    }

    /// rustls on ring, TLS 1.2 and 1.3, trusting the hub's authority alone.
    ///
    /// # Errors
    /// The authority's file cannot be read or holds no certificate.
    pub fn tls(&self) -> Result<ClientConfig, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.ca)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth())
    }
}
