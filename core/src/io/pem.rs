//! PEM texts from a user, read strictly: whatever is wrong with one has a text of its own.
//!
//! No error holds any part of the input, which may be a key.

use rustls::pki_types::pem::{Error as PemError, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, Result};

/// Every certificate in `pem`, at least one; other sections are passed over.
///
/// # Errors
///
/// `Argument`, with `name` as the argument, when the text is broken or holds no certificate.
pub(crate) fn certificates(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let text = normalised(pem);
    let found: Vec<_> = sections(name, &text)?
        .into_iter()
        .filter_map(|(kind, der)| CertificateDer::from_pem(kind, der))
        .collect();
    if found.is_empty() {
        return Err(nothing_in(name, "certificate", "x509", pem, &text));
    }
    Ok(found)
}

/// The one private key in `pem`, in PKCS#8, PKCS#1 or SEC1; other sections are passed over.
///
/// # Errors
///
/// `Argument`, with `name` as the argument, when the text is broken, or holds no private key, an
/// encrypted one or more than one.
pub(crate) fn private_key(name: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    let text = normalised(pem);
    if is_encrypted(&text) {
        return Err(Error::argument(
            name,
            "the private key is encrypted; decrypt it with: openssl pkey -in encrypted.pem -out key.pem",
        ));
    }
    let mut found =
        sections(name, &text)?.into_iter().filter_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der));
    match (found.next(), found.count()) {
        (Some(key), 0) => Ok(key),
        (Some(_), more) => {
            Err(Error::argument(name, format!("the PEM text holds {} private keys; give one", more + 1)))
        }
        (None, _) => Err(nothing_in(name, "private key", "pkey", pem, &text)),
    }
}

fn sections(name: &str, text: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Error::argument(name, rule_of(&error)))
}

fn rule_of(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "the PEM text ends inside a section: an END line is missing",
        PemError::IllegalSectionStart { .. } => {
            "a BEGIN line of the PEM text is malformed; it must stand on a line of its own and end in -----"
        }
        PemError::Base64Decode(_) => "a section of the PEM text is not base64",
        PemError::SectionTooLarge => "a section of the PEM text is too large",
        _ => "the PEM text is malformed",
    }
}

/// Line ends of any kind, no byte order mark, no indentation (YAML and C strings leave it behind).
fn normalised(pem: &[u8]) -> Vec<u8> {
    let pem = pem.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(pem);
    let mut text = Vec::with_capacity(pem.len() + 1);
    for line in pem.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.trim_ascii();
        if !line.is_empty() {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
    text
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// PKCS#8 says so in its label, the older formats in a header line below it.
fn is_encrypted(text: &[u8]) -> bool {
    lines(text).any(|line| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || (line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED"))
    })
}

/// `what` is missing; says what is there instead.
fn nothing_in(name: &str, what: &str, openssl: &str, pem: &[u8], text: &[u8]) -> Error {
    // DER of a certificate or key is a SEQUENCE, 0x30, longer than 127 bytes.
    if let [0x30, 0x81..=0x83, ..] = pem {
        return Error::argument(
            name,
            format!(
                "DER was given where PEM is needed; convert it with: openssl {openssl} -inform der -in FILE -out FILE.pem"
            ),
        );
    }
    let labels: Vec<String> = lines(text)
        .filter_map(|line| line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----"))
        .map(|label| String::from_utf8_lossy(label).chars().filter(|c| !c.is_control()).take(40).collect())
        .take(3)
        .collect();
    if labels.is_empty() {
        Error::argument(
            name,
            format!("no {what} in it: this is no PEM text (the content is needed, not the path of a file)"),
        )
    } else {
        Error::argument(name, format!("no {what} in the PEM text; it holds: {}", labels.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

    fn certificate_error(pem: &str) -> String {
        certificates("trusted_roots", pem.as_bytes()).unwrap_err().to_string()
    }

    fn key_error(pem: &str) -> String {
        private_key("private_key", pem.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn text_from_anywhere_is_read() {
        let windows = CERTIFICATE.replace('\n', "\r\n");
        let indented = CERTIFICATE.replace('\n', "\n    ");
        let commented = format!("\u{feff}{CERTIFICATE}subject=CN = x\n{KEY}{CERTIFICATE}");
        for (pem, count) in [(CERTIFICATE, 1), (&windows, 1), (&indented, 1), (&commented, 2)] {
            assert_eq!(certificates("trusted_roots", pem.as_bytes()).unwrap().len(), count, "{pem:?}");
        }
        let parameters = "-----BEGIN EC PARAMETERS-----\nBgg=\n-----END EC PARAMETERS-----\n";
        for pem in [KEY.to_owned(), format!("{CERTIFICATE}{KEY}"), format!("{parameters}{KEY}")] {
            private_key("private_key", pem.as_bytes()).unwrap();
        }
    }

    #[test]
    fn broken_certificates() {
        for (pem, part) in [
            ("", "no certificate in it"),
            ("/etc/ssl/ca.pem", "not the path"),
            (KEY, "it holds: PRIVATE KEY"),
            ("-----BEGIN CERTIFICATE-----\nMAA=\n", "END line is missing"),
            ("-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n", "not base64"),
            ("-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE", "BEGIN line"),
            ("0\u{0}", "no PEM text"),
        ] {
            let error = certificate_error(pem);
            assert!(error.starts_with("trusted_roots: "), "{error}");
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
        let der = certificates("trusted_roots", &[0x30, 0x82, 1, 0]).unwrap_err();
        assert!(der.detail().contains("openssl x509 -inform der"), "{der}");
    }

    #[test]
    fn broken_keys() {
        let two = format!("{KEY}{KEY}");
        for (pem, part) in [
            ("", "no private key in it"),
            (CERTIFICATE, "it holds: CERTIFICATE"),
            (two.as_str(), "2 private keys"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "openssl pkey",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-128-CBC,00\r\n\r\nMAA=\r\n-----END RSA PRIVATE KEY-----\r\n",
                "encrypted",
            ),
        ] {
            let error = key_error(pem);
            assert!(error.starts_with("private_key: "), "{error}");
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }

    #[test]
    fn no_error_repeats_the_input() {
        for pem in [
            "-----BEGIN PRIVATE KEY----- SECRETSECRET",
            "-----BEGIN PRIVATE KEY-----\nSECRETSECRET",
            "-----BEGIN PRIVATE KEY-----\nSECRETSECRET!\n-----END PRIVATE KEY-----",
            "SECRETSECRET",
        ] {
            assert!(!key_error(pem).contains("SECRET"), "{pem}");
        }
    }
}
