//! Certificates of devices: what a peer has shown, and whether an authority that is trusted vouches
//! for it.
//!
//! The path is built and checked by webpki, with two leniencies that the certificates of Microsoft's
//! own tutorials need: extended key usages are looked at where a certificate has some, and a leaf of
//! X.509 version 1, which `openssl x509 -req` makes without an extension file and webpki does not
//! read, is taken where one of the roots has signed it itself.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use webpki::{EndEntityCert, Error, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{ASN1Time, FromDer as _};
use x509_parser::x509::X509Version;

use crate::options::Pem;
use crate::tls::Thumbprints;

/// The certificates that a peer has shown, of the first of which it has proved to have the key.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// The leaf, then what the peer sent to lead to its root. Never empty.
    chain: Arc<[CertificateDer<'static>]>,
    pub(crate) thumbprints: Thumbprints,
}

impl Shown {
    /// By the peer of an established connection.
    pub(crate) fn by_peer(stream: &TlsStream<TcpStream>) -> Option<Self> {
        let (_, session) = stream.get_ref();
        Self::new(session.peer_certificates()?.iter().map(|der| der.clone().into_owned()).collect())
    }

    pub(crate) fn new(chain: Vec<CertificateDer<'static>>) -> Option<Self> {
        let thumbprints = Thumbprints::of(chain.first()?);
        Some(Self { chain: chain.into(), thumbprints })
    }

    fn leaf(&self) -> Result<X509Certificate<'_>, String> {
        let leaf = self.chain.first().map_or(&[][..], |der| der.as_ref());
        read(leaf).map_err(|why| format!("the certificate is unreadable: {why}"))
    }

    /// Whether the leaf holds at `now` (seconds since 1970).
    pub(crate) fn check_validity(&self, now: u64) -> Result<(), String> {
        let leaf = self.leaf()?;
        let validity = leaf.validity();
        let time = i64::try_from(now).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
        let time = time.ok_or("the clock is out of range")?;
        if validity.not_after < time {
            return Err(format!("the certificate {} expired on {}", leaf.subject(), validity.not_after));
        }
        if time < validity.not_before {
            let (subject, from) = (leaf.subject(), validity.not_before);
            return Err(format!("the certificate {subject} is not valid before {from}"));
        }
        Ok(())
    }

    /// Whether one of the leaf's common names is one that `same` takes; `id` is for the error.
    pub(crate) fn check_name(&self, id: &str, same: impl Fn(&str) -> bool) -> Result<(), String> {
        let leaf = self.leaf()?;
        let names: Vec<&str> =
            leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok()).collect();
        if names.iter().any(|name| same(name)) {
            return Ok(());
        }
        Err(match names[..] {
            [] => format!("the certificate has no common name (CN), which has to be '{id}'"),
            _ => format!("the certificate's common name (CN) is '{}' and not '{id}'", names.join("', '")),
        })
    }
}

/// The certificates of the authorities that are trusted, roots or not.
#[derive(Debug, Default, Clone)]
pub(crate) struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Roots {
    /// Reads every certificate of `sources`; the error names the source.
    pub(crate) fn read(sources: &[Pem]) -> Result<Self, String> {
        let mut roots = Self::default();
        for source in sources {
            let failed = |why: &dyn std::fmt::Display| format!("{source}: {why}");
            let before = roots.certificates.len();
            for certificate in CertificateDer::pem_slice_iter(&source.bytes()?) {
                let certificate = certificate.map_err(|e| failed(&e))?;
                let anchor = webpki::anchor_from_trusted_cert(&certificate)
                    .map_err(|e| failed(&format_args!("it cannot be trusted ({e})")))?
                    .to_owned();
                roots.anchors.push(anchor);
                roots.certificates.push(certificate);
            }
            if roots.certificates.len() == before {
                return Err(failed(&"it has no certificate in PEM"));
            }
        }
        Ok(roots)
    }

    /// Whether what the peer has shown leads to one of these at `now` (seconds since 1970); the
    /// error is for people.
    pub(crate) fn check(&self, shown: &Shown, now: u64) -> Result<(), String> {
        if self.anchors.is_empty() {
            return Err("no certificate authority is trusted".into());
        }
        shown.check_validity(now)?;
        let leaf = shown.leaf()?;
        if leaf.version() == X509Version::V1 {
            return self.check_first_version(&leaf);
        }
        let (first, rest) = shown.chain.split_first().ok_or("there is no certificate")?;
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let end = EndEntityCert::try_from(first).map_err(|e| unusable(&leaf, &e))?;
        end.verify_for_usage(algorithms, &self.anchors, rest, time, KeyUsage::client_auth(), None, None)
            .map(drop)
            .map_err(|error| match error {
                Error::UnknownIssuer => {
                    let last = shown.chain.last().and_then(|der| read(der).ok());
                    no_root(last.as_ref().unwrap_or(&leaf))
                }
                error => unusable(&leaf, &error),
            })
    }

    fn check_first_version(&self, leaf: &X509Certificate<'_>) -> Result<(), String> {
        let signed = self.certificates.iter().filter_map(|der| read(der).ok()).any(|root| {
            root.subject() == leaf.issuer() && leaf.verify_signature(Some(root.public_key())).is_ok()
        });
        if signed { Ok(()) } else { Err(no_root(leaf)) }
    }
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|e| e.to_string())
}

/// `last` is where the shown chain stops.
fn no_root(last: &X509Certificate<'_>) -> String {
    format!("no trusted root has issued {}: its issuer is {}", last.subject(), last.issuer())
}

fn unusable(leaf: &X509Certificate<'_>, error: &Error) -> String {
    let why = match error {
        Error::CaUsedAsEndEntity => "it is an authority's (CA:TRUE), not a device's".to_owned(),
        Error::RequiredEkuNotFoundContext(_) => "its extended key usage is not for clients".to_owned(),
        Error::CertExpired { .. } => "a certificate between it and the root has expired".to_owned(),
        Error::CertNotValidYet { .. } => "a certificate between it and the root is not valid yet".to_owned(),
        error => error.to_string(),
    };
    format!("the certificate {} is not usable: {why}", leaf.subject())
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
