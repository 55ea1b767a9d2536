//! The TLS configuration: whom the client trusts and how it shows who it is.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};

use super::pem;
use crate::error::{Error, ErrorKind, Result};

/// What decides a [`ClientConfig`]. The texts are PEM, not paths.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Certificates that replace every other root. Without them: the roots of the system
    /// (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured) and the bundle of `webpki-roots`.
    pub trusted_roots: Option<Vec<u8>>,
    /// The certificate that the client shows.
    pub identity: Option<ClientCertificate>,
}

/// A device certificate and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// PEM: the device's certificate first, then those that lead to the root.
    pub certificate: Vec<u8>,
    /// PEM: one key, not encrypted, in PKCS#8, PKCS#1 or SEC1.
    pub private_key: Vec<u8>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("trusted_roots", &self.trusted_roots.as_ref().map(Vec::len))
            .field("identity", &self.identity)
            .finish()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("certificate", &self.certificate.len())
            .finish_non_exhaustive()
    }
}

/// TLS 1.3 tickets of about four servers; a client knows its hub and the provisioning service.
const REMEMBERED_SESSIONS: usize = 32;

impl TlsOptions {
    /// The configuration for these options, the same one for equal options while any client uses it:
    /// a thousand devices of one process share one set of roots and one store of sessions.
    ///
    /// Sessions are resumed within one configuration only, so never with another client certificate.
    /// The first call without `trusted_roots` reads the system's roots from disk, once per process.
    ///
    /// # Errors
    ///
    /// `Argument`, naming `trusted_roots`, `certificate` or `private_key`: the text is broken, the
    /// key is of a kind that TLS cannot use, or it does not belong to the certificate.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>> {
        static SHARED: LazyLock<Mutex<HashMap<[u8; 32], Weak<ClientConfig>>>> = LazyLock::new(Mutex::default);

        let key = self.fingerprint();
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = shared.get(&key).and_then(Weak::upgrade) {
            return Ok(config);
        }
        let shown: Option<Arc<dyn ResolvesClientCert>> = match &self.identity {
            Some(identity) => Some(Arc::new(SingleCertAndKey::from(identity.certified_key()?))),
            None => None,
        };
        let config = Arc::new(self.build(shown)?);
        shared.retain(|_, config| config.strong_count() > 0);
        shared.insert(key, Arc::downgrade(&config));
        Ok(config)
    }

    fn fingerprint(&self) -> [u8; 32] {
        let identity = self.identity.as_ref();
        let parts = [
            self.trusted_roots.as_ref(),
            identity.map(|identity| &identity.certificate),
            identity.map(|identity| &identity.private_key),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            match part {
                // The length keeps two texts from running into each other.
                Some(part) => {
                    hash.update([1]);
                    hash.update((part.len() as u64).to_be_bytes());
                    hash.update(part);
                }
                None => hash.update([0]),
            }
        }
        hash.finalize().into()
    }

    /// A configuration that nobody else has, which shows `shown`.
    pub(super) fn build(&self, shown: Option<Arc<dyn ResolvesClientCert>>) -> Result<ClientConfig> {
        let roots = match &self.trusted_roots {
            Some(pem) => Arc::new(user_roots(pem)?),
            None => default_roots(),
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match shown {
            Some(shown) => builder.with_client_cert_resolver(shown),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(REMEMBERED_SESSIONS);
        Ok(config)
    }
}

/// The name for SNI and for the check of the certificate: a DNS name or an IP address, with or
/// without the brackets of IPv6.
///
/// # Errors
///
/// `Argument`: neither a DNS name nor an address.
pub fn server_name(host: &str) -> Result<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        let rule = if host.is_ascii() {
            "must be a DNS name or an IP address, without port or path"
        } else {
            "must be ASCII: write an international name in its xn-- form"
        };
        Error::argument("host", format!("{host:?} {rule}"))
    })
}

/// Always this one: the process-wide default belongs to the application, and may not be set.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    PROVIDER.clone()
}

fn user_roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (_, refused) = roots.add_parsable_certificates(pem::certificates("trusted_roots", pem)?);
    // A distribution's bundle may hold an odd certificate that nobody misses.
    if roots.is_empty() {
        return Err(Error::argument("trusted_roots", "no certificate in it is valid X.509"));
    }
    if refused > 0 {
        log::warn!("trusted_roots: {refused} certificates are no valid X.509 and were left out");
    }
    Ok(roots)
}

fn default_roots() -> Arc<RootCertStore> {
    static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            log::debug!("system roots: {error}");
        }
        roots.add_parsable_certificates(system.certs);
        for anchor in webpki_roots::TLS_SERVER_ROOTS {
            if !roots.roots.contains(anchor) {
                roots.roots.push(anchor.clone());
            }
        }
        Arc::new(roots)
    });
    ROOTS.clone()
}

/// Whether `subject`, the inside of a `Name`, is that of a root in the bundle.
pub(crate) fn is_of_the_web(subject: &[u8]) -> bool {
    webpki_roots::TLS_SERVER_ROOTS.iter().any(|anchor| anchor.subject.as_ref() == subject)
}

impl ClientCertificate {
    fn certified_key(&self) -> Result<CertifiedKey> {
        let chain = pem::certificates("certificate", &self.certificate)?;
        let key = pem::private_key("private_key", &self.private_key)?;
        let key = provider().key_provider.load_private_key(key).map_err(|_| {
            Error::argument(
                "private_key",
                "must be an RSA key of 2048 to 4096 bits, an EC key on P-256 or P-384, or an Ed25519 key",
            )
        })?;
        check_match(&chain, key.as_ref())?;
        Ok(CertifiedKey::new(chain, key))
    }
}

/// The key has to belong to the first certificate: said here, it is not a puzzling alert from the
/// hub later.
///
/// rustls' own check refuses X.509 version 1, which `openssl x509 -req` makes by default and IoT Hub
/// takes by its thumbprint. So the public key is looked for in the certificate as it is encoded.
fn check_match(chain: &[CertificateDer<'static>], key: &dyn SigningKey) -> Result<()> {
    let Some(public) = key.public_key() else {
        return Ok(());
    };
    let of_key = |certificate: &CertificateDer<'_>| {
        certificate.windows(public.as_ref().len()).any(|part| part == public.as_ref())
    };
    match chain.iter().position(of_key) {
        Some(0) => Ok(()),
        Some(other) => Err(Error::argument(
            "certificate",
            format!(
                "the private key belongs to certificate {} of {}; the device's own must be the first",
                other + 1,
                chain.len()
            ),
        )),
        None => Err(Error::argument(
            "private_key",
            "does not belong to the certificate: their public keys differ",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (host, expected) in [
            ("hub.azure-devices.net", "hub.azure-devices.net"),
            ("hub.azure-devices.net.", "hub.azure-devices.net"),
            ("localhost", "localhost"),
            ("my_gateway", "my_gateway"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(server_name(host).unwrap().to_str(), expected);
        }
        for (host, part) in [
            ("", "DNS name"),
            ("hub:8883", "without port"),
            ("https://hub", "without port"),
            ("a b", "DNS name"),
            ("h\u{fc}b.example", "xn--"),
        ] {
            let error = server_name(host).unwrap_err();
            assert!(error.detail().starts_with("host: "), "{error}");
            assert!(error.detail().contains(part), "{part:?} is not in {error}");
        }
    }

    #[test]
    fn debug_shows_lengths_only() {
        let identity = ClientCertificate { certificate: b"CERT".to_vec(), private_key: b"SECRET".to_vec() };
        let options = TlsOptions { trusted_roots: Some(b"ROOT".to_vec()), identity: Some(identity) };
        let secret = format!("{:?}", b"SECRET");
        let text = format!("{options:?}");
        assert!(text.contains("trusted_roots: Some(4)"), "{text}");
        assert!(!text.contains("SECRET") && !text.contains(&secret), "{text}");
    }

    #[test]
    fn fingerprints_keep_the_parts_apart() {
        let options = |roots: Option<&str>, certificate: &str, private_key: &str| TlsOptions {
            trusted_roots: roots.map(|roots| roots.as_bytes().to_vec()),
            identity: Some(ClientCertificate {
                certificate: certificate.as_bytes().to_vec(),
                private_key: private_key.as_bytes().to_vec(),
            }),
        };
        let prints = [
            TlsOptions::default().fingerprint(),
            options(None, "ab", "c").fingerprint(),
            options(None, "a", "bc").fingerprint(),
            options(Some(""), "a", "bc").fingerprint(),
            options(Some("a"), "", "bc").fingerprint(),
            options(None, "a", "bd").fingerprint(),
            // Equal once they are strung together.
            options(None, "a\u{1}b", "c").fingerprint(),
            options(None, "a", "b\u{1}c").fingerprint(),
        ];
        for (n, print) in prints.iter().enumerate() {
            assert!(!prints[..n].contains(print), "{n}");
        }
    }

    #[test]
    fn the_default_roots_hold_those_of_azure() {
        let roots = default_roots();
        for common_name in ["DigiCert Global Root G2", "Microsoft RSA Root Certificate Authority 2017"] {
            let found = roots.roots.iter().any(|anchor| {
                anchor.subject.windows(common_name.len()).any(|part| part == common_name.as_bytes())
            });
            assert!(found, "{common_name}");
        }
        assert!(Arc::ptr_eq(&roots, &default_roots()));
    }
}
