//! TLS 1.2 and 1.3 as IoT Hub does it: a client certificate is asked for and not required, and which
//! one is good is decided at CONNECT, when the device is known.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::certs::Store;
use crate::error::StartError;
use crate::settings::TlsVersions;

/// `protocols` are the ALPN names, most wanted first; none where the peer need not name one.
pub(crate) fn server_config(
    store: &Store,
    protocols: &[&[u8]],
    versions: TlsVersions,
) -> Result<Arc<ServerConfig>, StartError> {
    let versions = match versions {
        TlsVersions::Both => rustls::ALL_VERSIONS,
        TlsVersions::Tls12 => &[&rustls::version::TLS12],
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.clone()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map(|builder| builder.with_client_cert_verifier(verifier))
        .and_then(|builder| builder.with_single_cert(store.chain.clone(), store.key.clone_key()))
        .map_err(|error| StartError::new(format!("TLS: {error}")))?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// The thumbprints of the certificate that the peer proved to own, upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thumbprints {
    pub(crate) sha1: String,
    pub(crate) sha256: String,
}

impl Thumbprints {
    pub(crate) fn of(certificate: &[u8]) -> Self {
        use ::ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02X}")).collect();
        Self {
            sha1: hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref()),
            sha256: hex(digest(&SHA256, certificate).as_ref()),
        }
    }

    pub(crate) fn matches(&self, thumbprint: &str) -> bool {
        self.sha1.eq_ignore_ascii_case(thumbprint) || self.sha256.eq_ignore_ascii_case(thumbprint)
    }
}

/// SHA-1 or SHA-256 in hexadecimal, without the colons that openssl puts between two digits and two.
pub(crate) fn thumbprint(text: &str) -> Result<String, String> {
    let spaced = text.contains(':') && text.split(':').all(|pair| pair.len() == 2);
    let digits = if spaced { text.replace(':', "") } else { text.to_owned() };
    if matches!(digits.len(), 40 | 64) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    Err("a thumbprint has 40 (SHA-1) or 64 (SHA-256) hexadecimal digits".to_owned())
}

/// Takes every certificate whose private key the peer has: devices show self-signed ones.
struct AnyCertificate(Arc<CryptoProvider>);

impl fmt::Debug for AnyCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyCertificate")
    }
}

impl AnyCertificate {
    /// What rustls has for this takes no certificate of X.509 version 1, as `openssl x509 -req`
    /// makes them: the key is all that counts here.
    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let (_, algorithms) = self
            .0
            .signature_verification_algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signature.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // TLS 1.2 leaves the curve open; TLS 1.3 names it, and the key's own is the one that fits.
        if algorithms.iter().any(|it| key.verify_signature(*it, message, signature.signature()).is_ok()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }
}

/// TLS 1.3 has no signatures of PKCS #1.
fn allowed_in_tls13(scheme: SignatureScheme) -> bool {
    use SignatureScheme as S;
    !matches!(scheme, S::RSA_PKCS1_SHA1 | S::RSA_PKCS1_SHA256 | S::RSA_PKCS1_SHA384 | S::RSA_PKCS1_SHA512)
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !allowed_in_tls13(signature.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_may_be_as_openssl_prints_it() {
        let sha1 = "A9993E364706816ABA3E25717850C26C9CD0D89D";
        assert_eq!(thumbprint(sha1).as_deref(), Ok(sha1));
        let spaced = "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D";
        assert_eq!(thumbprint(spaced).as_deref(), Ok(sha1));
        for wrong in [
            "",
            ":",
            "A9",
            "A9:99",
            &sha1[1..],
            &format!("{sha1}:"),
            &spaced[..58],
            &spaced.replace('3', "g"),
        ] {
            assert!(thumbprint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_thumbprint_may_be_of_either_digest_and_case() {
        let thumbprints = Thumbprints::of(b"abc");
        assert!(thumbprints.matches("a9993e364706816aba3e25717850c26c9cd0d89d"));
        assert!(thumbprints.matches("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"));
        assert!(!thumbprints.matches("A9993E364706816ABA3E25717850C26C9CD0D89E"));
    }
}
