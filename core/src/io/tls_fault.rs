//! TLS errors as causes, with texts that say what to do about them.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::cause::{Cause, Fault};
use crate::hub::date;

impl Fault {
    /// TLS failed on the connection to `peer` (`host:port`).
    pub fn tls(peer: &str, error: &Error) -> Self {
        let (cause, text) = match error {
            Error::InvalidCertificate(error) => certificate(error),
            Error::AlertReceived(alert) => alert_received(*alert),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => (Cause::Tls, "the peer does not speak TLS on this port".to_owned()),
            Error::PeerIncompatible(why) => (
                Cause::Tls,
                format!("no TLS version or cipher in common (TLS 1.2 and 1.3 are offered): {why:?}"),
            ),
            Error::Other(other) => match other.0.downcast_ref::<crate::Error>() {
                // A callback of ours that signs.
                Some(error) => (Cause::Authentication, error.detail().to_owned()),
                None => (Cause::Tls, other.to_string()),
            },
            other => (Cause::Tls, other.to_string()),
        };
        Self::new(cause, format!("{peer}: {text}"))
    }
}

fn certificate(error: &CertificateError) -> (Cause, String) {
    match error {
        CertificateError::UnknownIssuer => (
            Cause::TlsUntrusted,
            "the server's certificate is not issued by a trusted root; \
             if the server is yours, give the root that issued it as trusted_roots"
                .to_owned(),
        ),
        CertificateError::ExpiredContext { time, not_after } => (
            Cause::TlsExpired,
            format!(
                "the server's certificate expired on {}; the clock of this machine says {}",
                utc(*not_after),
                utc(*time)
            ),
        ),
        // Servers hardly ever present a certificate from the future; clocks that were never set
        // are everywhere.
        CertificateError::NotValidYetContext { time, not_before } => (
            Cause::Clock,
            format!(
                "the clock of this machine says {}, before {}, the first day of the server's \
                 certificate; set the clock",
                utc(*time),
                utc(*not_before)
            ),
        ),
        CertificateError::NotValidForNameContext { expected, presented } => (
            Cause::TlsName,
            format!(
                "the server's certificate is not for {}; it is for {}",
                expected.to_str(),
                names(presented)
            ),
        ),
        // What a root that was made anew under its old name looks like.
        CertificateError::BadSignature => (
            Cause::TlsUntrusted,
            "the server's certificate is not signed by the trusted root of that name; \
             was the root made anew? give the present one as trusted_roots"
                .to_owned(),
        ),
        CertificateError::Expired => (Cause::TlsExpired, "the server's certificate has expired".to_owned()),
        CertificateError::NotValidYet => (
            Cause::Clock,
            "the server's certificate is not valid yet; the clock of this machine is behind".to_owned(),
        ),
        CertificateError::NotValidForName => {
            (Cause::TlsName, "the server's certificate is for another name".to_owned())
        }
        // webpki's own error type is not part of rustls' interface, its text is.
        other if other.to_string().contains("CaUsedAsEndEntity") => (
            Cause::TlsUntrusted,
            "the server shows the certificate of an authority (a self-signed one, perhaps) as its own; \
             it needs one that is issued for its host name"
                .to_owned(),
        ),
        other => (Cause::Tls, format!("the server's certificate was refused: {other}")),
    }
}

/// Alerts about certificates speak of ours: the server saw no other.
fn alert_received(alert: AlertDescription) -> (Cause, String) {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            (Cause::Authentication, format!("the server asks for a client certificate ({alert:?})"))
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            (Cause::Authentication, format!("the server refused the client certificate ({alert:?})"))
        }
        Alert::UnrecognisedName => (Cause::TlsName, "the server does not know the host name".to_owned()),
        Alert::ProtocolVersion | Alert::InsufficientSecurity => (
            Cause::Tls,
            format!("no TLS version or cipher in common (TLS 1.2 and 1.3 are offered): {alert:?}"),
        ),
        other => (Cause::Tls, format!("the server ended TLS with the alert {other:?}")),
    }
}

/// The first names of a certificate; some hold a hundred.
fn names(presented: &[String]) -> String {
    const MOST: usize = 8;
    // webpki writes them as `DnsName("a")`, `IpAddress(..)`; people know them without the wrapping.
    let plain = |name: &String| {
        name.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")")).unwrap_or(name).to_owned()
    };
    let mut list: Vec<String> = presented.iter().take(MOST).map(plain).collect();
    match presented.len() {
        0 => return "no name at all".to_owned(),
        n if n > MOST => list.push(format!("{} more", n - MOST)),
        _ => {}
    }
    list.join(", ")
}

fn utc(time: UnixTime) -> String {
    date::utc(time.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rustls::pki_types::ServerName;
    use std::time::Duration;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn certificate_errors_say_what_to_do() {
        let expired = CertificateError::ExpiredContext { time: at(1_767_225_600), not_after: at(86_400) };
        let early = CertificateError::NotValidYetContext { time: at(0), not_before: at(86_400) };
        let name = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("hub.example").unwrap(),
            presented: vec!["DnsName(\"other.example\")".to_owned()],
        };
        for (error, cause, parts) in [
            (CertificateError::UnknownIssuer, Cause::TlsUntrusted, ["trusted_roots", "h:8883: "]),
            (expired, Cause::TlsExpired, ["1970-01-02 00:00:00", "2026-01-01 00:00:00"]),
            (early, Cause::Clock, ["1970-01-02 00:00:00", "1970-01-01 00:00:00"]),
            (name, Cause::TlsName, ["not for hub.example;", "it is for other.example"]),
        ] {
            let fault = Fault::tls("h:8883", &Error::InvalidCertificate(error));
            assert_eq!(fault.cause, cause, "{fault}");
            for part in parts {
                assert!(fault.detail.contains(part), "{part:?} is not in {fault}");
            }
        }
    }

    #[test]
    fn alerts_about_our_certificate_are_refused_credentials() {
        for (alert, cause) in [
            (AlertDescription::UnknownCA, Cause::Authentication),
            (AlertDescription::CertificateRequired, Cause::Authentication),
            (AlertDescription::CertificateExpired, Cause::Authentication),
            (AlertDescription::ProtocolVersion, Cause::Tls),
            (AlertDescription::UnrecognisedName, Cause::TlsName),
        ] {
            assert_eq!(Fault::tls("h:1", &Error::AlertReceived(alert)).cause, cause, "{alert:?}");
        }
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let many: Vec<String> = (0..20).map(|n| format!("DnsName(\"h{n}\")")).collect();
        assert_eq!(names(&many), "h0, h1, h2, h3, h4, h5, h6, h7, 12 more");
        assert_eq!(names(&[]), "no name at all");
    }
}
