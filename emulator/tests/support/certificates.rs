//! Certificates as authorities and devices have them.

#![allow(dead_code, clippy::unwrap_used)]

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SigningKey as _,
};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// A certificate authority.
pub(crate) struct Authority {
    params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: CertificateDer<'static>,
}

/// A certificate with its key in PKCS #8.
pub(crate) struct Leaf {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: Vec<u8>,
}

pub(crate) fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn authority_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    pub(crate) fn root(common_name: &str) -> Self {
        let (params, key) = (authority_params(common_name), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params.clone(), key), params, der }
    }

    pub(crate) fn intermediate(&self, common_name: &str) -> Self {
        let (params, key) = (authority_params(common_name), KeyPair::generate().unwrap());
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { issuer: Issuer::new(params.clone(), key), params, der }
    }

    /// For clients, as `openssl ca` makes it with the tutorials' configuration.
    pub(crate) fn leaf(&self, common_name: &str) -> Leaf {
        self.leaf_with(common_name, |params| {
            params.is_ca = IsCa::ExplicitNoCa;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    pub(crate) fn leaf_with(&self, common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let (mut params, key) = (params(common_name), KeyPair::generate().unwrap());
        change(&mut params);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Leaf { der, key: key.serialize_der() }
    }

    /// X.509 version 1, without any extension, as `openssl x509 -req` makes it.
    pub(crate) fn leaf_of_first_version(&self, common_name: &str) -> Leaf {
        let leaf = self.leaf_with(common_name, |_| ());
        let (_, third) = X509Certificate::from_der(&leaf.der).unwrap();
        let ecdsa_with_sha256 = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        let raw = third.tbs_certificate.as_ref();
        // The validity has no raw form of its own: it is what stands between issuer and subject.
        let at = |part: &[u8]| part.as_ptr() as usize - raw.as_ptr() as usize;
        let issuer = third.issuer().as_raw();
        let validity = &raw[at(issuer) + issuer.len()..at(third.subject().as_raw())];
        let unsigned = element(
            0x30,
            &[
                &element(2, third.raw_serial()),
                &ecdsa_with_sha256[..],
                issuer,
                validity,
                third.subject().as_raw(),
                third.public_key().raw,
            ]
            .concat(),
        );
        let signature = self.issuer.key().sign(&unsigned).unwrap();
        let signature = element(3, &[&[0][..], &signature].concat());
        let whole = element(0x30, &[&unsigned[..], &ecdsa_with_sha256, &signature].concat());
        Leaf { der: whole.into(), ..leaf }
    }

    pub(crate) fn pem(&self) -> String {
        pem(&self.der)
    }
}

/// One element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

pub(crate) fn pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
