//! Findings in words.

use std::net::IpAddr;

use super::clock::span;
use crate::config::{Config, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::date::utc;
use crate::hub::{Credential, Policy};
use crate::io::{Cause, Certificate, certificates};

/// A certificate that ends sooner is worth a word.
const SOON: u64 = 30 * 86_400;

/// The DER of the certificate that the device shows, if it shows one.
pub(super) fn own_certificate(config: &Config) -> Result<Option<Vec<u8>>> {
    let first = |pem: &[u8]| {
        let chain = certificates("certificate", pem)?;
        Ok(chain.first().map(|der| der.to_vec()))
    };
    match &config.credential {
        Some(Source::Files(files)) => first(&files.read()?.certificate),
        Some(Source::TlsSigner(certificate)) => Ok(Some(certificate.der().to_vec())),
        _ => config.tuning.tls.identity.as_ref().map_or(Ok(None), |identity| first(&identity.certificate)),
    }
}

/// Whether the device's own certificate serves at `now`.
pub(super) fn judge_own(der: &[u8], now: u64) -> Result<String> {
    let Some(read) = Certificate::read(der) else {
        return Err(Error::argument("certificate", "is no X.509 certificate"));
    };
    let (subject, not_before, not_after) = (read.subject(), read.not_before, read.not_after);
    let expired = |text: String| Err(Error::new(ErrorKind::Auth, text));
    if now > not_after {
        return expired(format!(
            "the device's certificate, of {subject}, expired on {}; the clock of this machine says {}: \
             renew it, and tell the hub its new thumbprint unless an authority vouches for it",
            utc(not_after),
            utc(now)
        ));
    }
    if now < not_before {
        return expired(format!(
            "the device's certificate, of {subject}, is good from {} on; the clock of this machine says {}: \
             set the clock, or wait",
            utc(not_before),
            utc(now)
        ));
    }
    let left = not_after - now;
    let renew =
        if left < SOON { format!(" ({} are left: renew it soon)", span(left)) } else { String::new() };
    Ok(format!("its certificate, of {subject}, is good until {}{renew}", utc(not_after)))
}

/// `with a key`
pub(super) fn credential(source: &Source) -> &'static str {
    match source {
        Source::Credential(Credential::Key { policy: Some(_), .. }) => "with the key of a policy of the hub",
        Source::Credential(Credential::Key { policy: None, .. }) => "with a key",
        Source::Credential(Credential::Token { .. }) => "with a SAS token that was given",
        Source::Credential(Credential::Signer(_)) => "with tokens signed by a callback",
        Source::Credential(Credential::Source(_)) => "with tokens from a callback",
        Source::Credential(Credential::Certificate) => "with a certificate",
        Source::Files(_) => "with a certificate from files",
        Source::TlsSigner(_) => "with a certificate whose key signs through a callback",
        Source::Edge { .. } => "with tokens signed by IoT Edge",
    }
}

/// What a server presents.
pub(super) fn presented(der: &[u8]) -> String {
    match Certificate::read(der) {
        Some(read) => format!(
            "a certificate for {}, issued by {}, good from {} to {}",
            read.subject(),
            if read.is_self_issued() { "itself".to_owned() } else { read.issuer() },
            utc(read.not_before),
            utc(read.not_after)
        ),
        None => "something that is no X.509 certificate".to_owned(),
    }
}

/// What to do where the server's certificate was refused, `issuer` being who issued what was presented.
pub(super) fn untrusted(host: &str, cause: Cause, issuer: Option<&str>) -> Vec<String> {
    let of_azure = |issuer: &str| ["Microsoft", "DigiCert"].iter().any(|name| issuer.contains(name));
    match (cause, issuer) {
        (Cause::TlsUntrusted, Some(issuer)) if Policy::is_hub_host(host) && !of_azure(issuer) => {
            vec![format!(
                "IoT Hub's certificates are issued by Microsoft or DigiCert: a firewall or proxy that looks into TLS \
             presents its own here; have this host exempted, or give the root of {issuer} as trusted_roots"
            )]
        }
        (Cause::TlsUntrusted, Some(issuer)) => vec![format!(
            "if you do not know {issuer}, a firewall or proxy on the way looks into TLS: have this host exempted"
        )],
        (Cause::TlsExpired, _) => {
            vec!["renew it on the server, or set the clock if that is wrong".to_owned()]
        }
        (Cause::TlsName, _) => {
            vec!["use the name that it is for as host or gateway, or have it issued for this one".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// What to do where the hub refused the device, which does not say why.
pub(super) fn refused(source: &Source, client_id: &str, own: Option<&[u8]>) -> Vec<String> {
    let check = format!("check in the portal that {client_id} is registered at this hub and enabled");
    let shown = own.and_then(Certificate::read).map(|read| {
        format!(
            "the certificate shown is of {}, issued by {}, with the SHA-256 thumbprint {}: the hub has to know \
             that thumbprint, or its issuer if the device is registered with an authority, and then its common \
             name has to be the device id",
            read.subject(),
            read.issuer(),
            read.thumbprint()
        )
    });
    let and = match source {
        Source::Credential(Credential::Key { policy: Some(_), .. }) => {
            "that the policy allows DeviceConnect, and that this is one of its keys"
        }
        Source::Credential(Credential::Key { .. }) => "that the key is its primary or secondary key",
        Source::Credential(Credential::Token { .. } | Credential::Source(_)) => {
            "that the token is for it, is signed with one of its keys, and has not expired"
        }
        Source::Credential(Credential::Signer(_)) | Source::Edge { .. } => {
            "that what signs holds one of its keys"
        }
        Source::Credential(Credential::Certificate) | Source::Files(_) | Source::TlsSigner(_) => {
            "that it is registered with this certificate"
        }
    };
    std::iter::once(format!("{check}, and {and}")).chain(shown).collect()
}

/// `has the address 192.0.2.1`
pub(super) fn addresses(found: &[IpAddr]) -> String {
    const MOST: usize = 4;
    let mut distinct: Vec<String> = Vec::new();
    for address in found.iter().map(ToString::to_string) {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    let more = distinct.len().saturating_sub(MOST);
    distinct.truncate(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let noun = if distinct.len() == 1 { "address" } else { "addresses" };
    format!("{noun} {}{more}", distinct.join(", "))
}
