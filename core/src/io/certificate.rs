//! What people want to know of a certificate: whose it is, who issued it, and when it is good.
//!
//! A walk over the first fields of X.509 (RFC 5280 section 4.1), which every version has; `openssl x509
//! -req` still makes version 1. Nothing is verified here: that is rustls' work.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::hub::date;

/// Borrows from the certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Certificate<'a> {
    der: &'a [u8],
    /// What is inside of the `Name`.
    pub(crate) issuer_name: &'a [u8],
    subject: &'a [u8],
    /// What is inside of the `SubjectPublicKeyInfo`.
    key: &'a [u8],
    /// Seconds since 1970.
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0] EXPLICIT`
const VERSION: u8 = 0xa0;

/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.10
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// The rest of a sequence of DER values.
struct Values<'a>(&'a [u8]);

impl<'a> Iterator for Values<'a> {
    type Item = (u8, &'a [u8]);

    /// `None` at the end, and at what is no DER.
    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            // No certificate is longer than 64 KiB.
            0x81 | 0x82 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

impl<'a> Values<'a> {
    fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

impl<'a> Certificate<'a> {
    /// `None`: this is no certificate.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        let certificate = Values(der).content(SEQUENCE)?;
        let mut fields = Values(Values(certificate).content(SEQUENCE)?);
        match fields.next()? {
            (VERSION, _) => fields.content(INTEGER)?,
            // Version 1 begins with the serial number.
            (INTEGER, serial) => serial,
            _ => return None,
        };
        fields.content(SEQUENCE)?;
        let issuer_name = fields.content(SEQUENCE)?;
        let mut validity = Values(fields.content(SEQUENCE)?);
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let subject = fields.content(SEQUENCE)?;
        let key = fields.content(SEQUENCE)?;
        Some(Self { der, issuer_name, subject, key, not_before, not_after })
    }

    pub(crate) fn subject(&self) -> String {
        name(self.subject)
    }

    pub(crate) fn issuer(&self) -> String {
        name(self.issuer_name)
    }

    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer_name
    }

    /// The algorithm with its parameters, as it is encoded, and the bits of the public key.
    pub(super) fn public_key(&self) -> Option<(&'a [u8], &'a [u8])> {
        let mut fields = Values(self.key);
        let (algorithm, bits) = (fields.content(SEQUENCE)?, fields.content(BIT_STRING)?);
        // The first byte counts unused bits, of which keys have none.
        Some((algorithm, bits.strip_prefix(&[0])?))
    }

    /// SHA-256 of the certificate in upper-case hexadecimal, as the portal shows it.
    pub(crate) fn thumbprint(&self) -> String {
        Sha256::digest(self.der).iter().fold(String::with_capacity(64), |mut text, byte| {
            // A String takes everything.
            let _ = write!(text, "{byte:02X}");
            text
        })
    }
}

/// Two digits of a year mean 1950 to 2049 (RFC 5280 section 4.1.2.5.1). Before 1970 counts as 1970.
fn time((tag, text): (u8, &[u8])) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (tag, text.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = text.split_at(2);
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = text.split_at(4);
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2).and_then(|digits| digits.parse::<u64>().ok());
    let (month, day, clock) = (two(0)?, two(2)?, [two(4)?, two(6)?, two(8)?]);
    if year < 1970 { Some(0) } else { date::seconds(year, month, day, clock) }
}

/// The common name and the organization of a `Name`, as far as there are any, for people.
fn name(content: &[u8]) -> String {
    let (mut common, mut organization) = (None, None);
    for (tag, set) in Values(content) {
        for (inner, pair) in Values(set) {
            let mut pair = Values(pair);
            let (true, Some(kind), Some(value)) =
                (tag == SET && inner == SEQUENCE, pair.content(OBJECT_IDENTIFIER), pair.next())
            else {
                continue;
            };
            // The last is the most specific.
            match kind {
                COMMON_NAME => common = text(value),
                ORGANIZATION => organization = text(value),
                _ => {}
            }
        }
    }
    match (common, organization) {
        (Some(common), Some(organization)) => format!("\"{common}\" of \"{organization}\""),
        (Some(one), None) | (None, Some(one)) => format!("\"{one}\""),
        (None, None) => "somebody without a name".to_owned(),
    }
}

/// Whoever made the certificate wrote it: it is cut, and free of control characters.
fn text((tag, bytes): (u8, &[u8])) -> Option<String> {
    const MOST: usize = 80;
    let text = match tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => String::from_utf8_lossy(bytes).into_owned(),
        TELETEX_STRING => bytes.iter().map(|byte| char::from(*byte)).collect(),
        BMP_STRING => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => return None,
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(MOST).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, DnType, DnValue, Issuer, KeyPair, date_time_ymd};

    use super::*;
    use crate::io::pem;

    fn params(common: &str, organization: Option<&str>) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        if let Some(organization) = organization {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params
    }

    #[test]
    fn the_fields_of_a_certificate() {
        let authority = KeyPair::generate().unwrap();
        let issuer = Issuer::new(params("Looking Glass Root", Some("Interceptors Ltd")), authority);
        let mut leaf = params("hub.example", None);
        leaf.not_before = date_time_ymd(2024, 2, 29);
        leaf.not_after = date_time_ymd(2051, 1, 1);
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let read = Certificate::read(leaf.der()).unwrap();
        assert_eq!(read.subject(), "\"hub.example\"");
        assert_eq!(read.issuer(), "\"Looking Glass Root\" of \"Interceptors Ltd\"");
        assert!(!read.is_self_issued());
        assert_eq!(date::utc(read.not_before), "2024-02-29 00:00:00 UTC");
        assert_eq!(date::utc(read.not_after), "2051-01-01 00:00:00 UTC");
    }

    /// `openssl x509 -noout -fingerprint -sha256` says the same.
    #[test]
    fn version_1() {
        let pem = include_bytes!("../../tests/fixtures/ec.v1.crt.pem");
        let der = pem::certificates("certificate", pem).unwrap();
        let read = Certificate::read(&der[0]).unwrap();
        assert_eq!(read.subject(), "\"dev1\"");
        assert_eq!(read.thumbprint(), "6238B9CC768785640E4EA3B1EEAD08A4B8FF6D0FAA0C7FCF6A37C15165D79D81");
    }

    #[test]
    fn names_in_any_string_and_none() {
        let bmp = DnValue::BmpString("\u{160}koda\u{7}".try_into().unwrap());
        let teletex = DnValue::TeletexString("Old".try_into().unwrap());
        let long = DnValue::Utf8String("x".repeat(200));
        for (value, expected) in [
            (bmp, "\"\u{160}koda\"".to_owned()),
            (teletex, "\"Old\"".into()),
            (long, format!("\"{}\"", "x".repeat(80))),
        ] {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, value);
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let read = Certificate::read(made.der()).unwrap();
            assert_eq!(read.subject(), expected);
            assert!(read.is_self_issued());
        }
        assert_eq!(name(&[]), "somebody without a name");
    }

    #[test]
    fn values_are_bounded() {
        for (der, expected) in [
            (&[][..], None),
            (&[0x30], None),
            (&[0x30, 1], None),
            (&[0x30, 0x81], None),
            (&[0x30, 0x82, 0, 2, 7], None),
            (&[0x30, 0x83, 0, 0, 1, 7], None),
            (&[0x30, 0x80, 0, 0], None),
            (&[0x30, 1, 7, 8], Some((&[7][..], &[8][..]))),
            (&[0x30, 0x81, 1, 7, 8], Some((&[7], &[8]))),
            (&[0x30, 0x82, 0, 1, 7, 8], Some((&[7], &[8]))),
        ] {
            let mut values = Values(der);
            let found = values.next().map(|(tag, content)| {
                assert_eq!(tag, 0x30);
                (content, values.0)
            });
            assert_eq!(found, expected, "{der:02x?}");
        }
        assert!(Values(&[0x31, 0]).content(0x30).is_none());
    }

    #[test]
    fn times() {
        for (tag, text, expected) in [
            (UTC_TIME, "491231235959Z", "2049-12-31 23:59:59 UTC"),
            (UTC_TIME, "991231235959Z", "1999-12-31 23:59:59 UTC"),
            (UTC_TIME, "500101000000Z", "1970-01-01 00:00:00 UTC"),
            (GENERALIZED_TIME, "99991231235959Z", "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(date::utc(time((tag, text.as_bytes())).unwrap()), expected, "{text}");
        }
        for (tag, text) in [
            (UTC_TIME, "991331235959Z"),
            (UTC_TIME, "9912312359Z"),
            (UTC_TIME, "+91231235959Z"),
            (GENERALIZED_TIME, "20260101000000"),
            (INTEGER, "260101000000Z"),
        ] {
            assert_eq!(time((tag, text.as_bytes())), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused_wherever_it_ends() {
        let made = params("a", None).self_signed(&KeyPair::generate().unwrap()).unwrap();
        for end in 0..made.der().len() {
            assert!(Certificate::read(&made.der()[..end]).is_none(), "{end}");
        }
        // Any byte may be wrong: it is read differently or refused, and that is all.
        for at in 0..made.der().len() {
            let mut broken = made.der().to_vec();
            broken[at] ^= 0xff;
            if let Some(read) = Certificate::read(&broken) {
                let _ = (read.subject(), read.issuer());
            }
        }
    }
}
