//! A client certificate whose key is elsewhere (TPM, HSM, smart card) and signs through a callback.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::pki_types::{AlgorithmIdentifier, CertificateDer, alg_id};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, OtherError, SignatureAlgorithm, SignatureScheme};

use super::certificate::Certificate;
use super::pem;
use super::tls::{TlsOptions, provider};
use crate::error::{Error, ErrorKind, Result};

/// Signs bytes, which it has to hash itself, by a TLS `SignatureScheme` (RFC 8446, 4.2.3), such as
/// 0x0403 for ECDSA on P-256 with SHA-256 in DER.
pub type TlsSigner = Arc<dyn Fn(u16, &[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// A certificate and who signs for it.
#[derive(Clone)]
pub(crate) struct SigningCertificate {
    chain: Vec<CertificateDer<'static>>,
    public: PublicKey,
    sign: TlsSigner,
}

impl fmt::Debug for SigningCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningCertificate").field("kind", &self.public.kind.name).finish_non_exhaustive()
    }
}

/// What a kind of key can do in TLS.
struct Kind {
    name: &'static str,
    /// With parameters, as it stands in a certificate.
    id: AlgorithmIdentifier,
    algorithm: SignatureAlgorithm,
    /// The most wanted first: SHA-256 is what every TPM and smart card has.
    schemes: &'static [SignatureScheme],
}

static KINDS: [Kind; 4] = [
    Kind {
        name: "RSA",
        id: alg_id::RSA_ENCRYPTION,
        algorithm: SignatureAlgorithm::RSA,
        schemes: &[
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
        ],
    },
    Kind {
        name: "EC P-256",
        id: alg_id::ECDSA_P256,
        algorithm: SignatureAlgorithm::ECDSA,
        schemes: &[SignatureScheme::ECDSA_NISTP256_SHA256],
    },
    Kind {
        name: "EC P-384",
        id: alg_id::ECDSA_P384,
        algorithm: SignatureAlgorithm::ECDSA,
        schemes: &[SignatureScheme::ECDSA_NISTP384_SHA384],
    },
    Kind {
        name: "Ed25519",
        id: alg_id::ED25519,
        algorithm: SignatureAlgorithm::ED25519,
        schemes: &[SignatureScheme::ED25519],
    },
];

#[derive(Clone)]
struct PublicKey {
    kind: &'static Kind,
    /// The bits of the certificate's `subjectPublicKey`.
    bits: Vec<u8>,
}

impl SigningCertificate {
    /// The device's own certificate.
    pub(crate) fn der(&self) -> &[u8] {
        self.chain.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// `certificate` is PEM: the device's own first, then those that lead to the root.
    ///
    /// # Errors
    /// `Argument`: no certificate, or a kind of key that TLS does not know.
    pub(crate) fn new(certificate: &[u8], sign: TlsSigner) -> Result<Self> {
        let chain = pem::certificates("certificate", certificate)?;
        let public = chain.first().and_then(|first| PublicKey::of(first)).ok_or_else(|| {
            Error::argument("certificate", "its key must be RSA, EC on P-256 or P-384, or Ed25519")
        })?;
        Ok(Self { chain, public, sign })
    }

    /// A configuration of its own, and what is set while the callback runs. It is shared with nobody:
    /// a session that one signer opened is never resumed for another with the same certificate.
    pub(crate) fn client_config(&self, options: &TlsOptions) -> Result<(Arc<ClientConfig>, Arc<AtomicBool>)> {
        let signing = Arc::new(AtomicBool::new(false));
        let key = RemoteKey {
            public: self.public.clone(),
            sign: Arc::clone(&self.sign),
            signing: Arc::clone(&signing),
        };
        let certified = CertifiedKey::new(self.chain.clone(), Arc::new(key));
        let config = options.build(Some(Arc::new(SingleCertAndKey::from(certified))))?;
        Ok((Arc::new(config), signing))
    }
}

#[derive(Clone)]
struct RemoteKey {
    public: PublicKey,
    sign: TlsSigner,
    signing: Arc<AtomicBool>,
}

impl fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteKey")
    }
}

impl SigningKey for RemoteKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.public.kind.schemes.iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(RemoteSigner { key: self.clone(), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.public.kind.algorithm
    }
}

#[derive(Debug)]
struct RemoteSigner {
    key: RemoteKey,
    scheme: SignatureScheme,
}

impl Signer for RemoteSigner {
    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, rustls::Error> {
        let RemoteKey { sign, signing, public } = &self.key;
        signing.store(true, Ordering::Release);
        let signed = sign(self.scheme.into(), message);
        signing.store(false, Ordering::Release);
        let failed =
            |text: String| rustls::Error::Other(OtherError(Arc::new(Error::new(ErrorKind::Auth, text))));
        let signature =
            signed.map_err(|error| failed(format!("the TLS signer failed: {}", error.detail())))?;
        // The hub would only say that decryption failed.
        if public.refuses(self.scheme, message, &signature) {
            return Err(failed(format!(
                "the signature that the TLS signer gave by {:?} does not fit the certificate: \
                 is it of another key, of data hashed twice, or not encoded as TLS has it?",
                self.scheme
            )));
        }
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl PublicKey {
    /// `None` where the certificate is broken or its key is of no kind that TLS knows.
    ///
    /// A reader of certificates of rustls' refuses X.509 version 1, which IoT Hub takes by its thumbprint.
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (algorithm, bits) = Certificate::read(certificate)?.public_key()?;
        let kind = KINDS.iter().find(|kind| kind.id.as_ref() == algorithm)?;
        Some(Self { kind, bits: bits.to_vec() })
    }

    /// Whether `signature` is certainly wrong.
    fn refuses(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
        let provider = provider();
        let known = provider.signature_verification_algorithms.mapping.iter();
        let mut fitting = known
            .filter(|(of, _)| *of == scheme)
            .flat_map(|(_, algorithms)| algorithms.iter())
            .filter(|algorithm| algorithm.public_key_alg_id() == self.kind.id)
            .peekable();
        fitting.peek().is_some()
            && fitting.all(|algorithm| algorithm.verify_signature(&self.bits, message, signature).is_err())
    }
}

#[cfg(test)]
mod tests;
