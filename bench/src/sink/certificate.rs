//! An authority and a certificate made for one run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use super::TlsVersion;
use crate::Failure;

/// A certificate for `localhost` and 127.0.0.1, and a temporary folder with its authority's PEM file.
pub(super) struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    ca: PathBuf,
    _folder: TempDir,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl Certificate {
    pub(super) fn make() -> Result<Self, Failure> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "iothub-bench authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let mut server = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "localhost");
        let key = KeyPair::generate()?;
        let chain = vec![server.signed_by(&key, &issuer)?.der().clone()];

        let folder = TempDir::with_prefix("iothub-bench-")?;
        let ca = folder.path().join("ca.pem");
        fs::write(&ca, pem)?;
        Ok(Self { chain, key, ca, _folder: folder })
    }

    pub(super) fn ca(&self) -> &Path {
        &self.ca
    }

    pub(super) fn server_config(&self, version: TlsVersion) -> Result<ServerConfig, Failure> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der())?;
        let version = match version {
            TlsVersion::V12 => &TLS12,
            TlsVersion::V13 => &TLS13,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)?)
    }
}
