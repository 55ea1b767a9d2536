//! What a server presents as its certificate, for people: on a connection that ends there.

use std::fmt;
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::tls::provider;
use super::wire::lock;

/// Keeps the chain and trusts nobody, so that nothing can pass over a connection that it was asked about.
#[derive(Default)]
pub(super) struct Presented(Mutex<Vec<CertificateDer<'static>>>);

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented")
    }
}

impl Presented {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The server's own certificate first; empty where it has shown none.
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        lock(&self.0).clone()
    }
}

const NEVER: Error = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);

impl ServerCertVerifier for Presented {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *lock(&self.0) = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        Err(NEVER)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NEVER)
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NEVER)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
