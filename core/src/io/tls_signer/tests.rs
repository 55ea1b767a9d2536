#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Mutex;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConnection, DigitallySignedStruct, DistinguishedName, HandshakeKind, ServerConfig,
    ServerConnection, SupportedProtocolVersion,
};

use super::*;
use crate::io::cause::{Cause, Fault};

#[test]
fn no_prefix_of_a_certificate_is_one() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["d".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = certificate.der();
    assert_eq!(PublicKey::of(der).unwrap().kind.name, "EC P-256");
    for length in 0..der.len() {
        assert!(PublicKey::of(&CertificateDer::from(&der[..length])).is_none(), "{length}");
    }
}

/// What `openssl x509 -req` makes by default.
#[test]
fn a_certificate_of_x509_version_1_is_read() {
    let pem = include_bytes!("../../../tests/fixtures/ec.v1.crt.pem");
    SigningCertificate::new(pem, Arc::new(|_, _| Ok(Vec::new()))).unwrap();
}

/// Demands a certificate and its signature, from whomever.
#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A server, and the options that trust it.
fn server(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, TlsOptions) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["h".to_owned()]).unwrap().self_signed(&key).unwrap();
    let roots = certificate.pem().into_bytes();
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (Arc::new(config), TlsOptions { trusted_roots: Some(roots), identity: None })
}

fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> std::result::Result<HandshakeKind, Fault> {
    let mut client = ClientConnection::new(Arc::clone(client), "h".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    loop {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut up).unwrap();
        }
        let mut rest = up.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut down).unwrap();
        }
        if up.is_empty() && down.is_empty() {
            return Ok(client.handshake_kind().unwrap());
        }
        let mut rest = down.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(|error| Fault::tls("h:1", &error))?;
        }
    }
}

/// A certificate for the key in this PEM, and who signs with it; the schemes asked for are kept.
fn owned(pem: &str) -> (Vec<u8>, TlsSigner, Arc<Mutex<Vec<u16>>>) {
    let pair = KeyPair::from_pem(pem).unwrap();
    let certificate = CertificateParams::new(["d".to_owned()]).unwrap().self_signed(&pair).unwrap();
    let key =
        provider().key_provider.load_private_key(PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap());
    let (key, asked) = (key.unwrap(), Arc::new(Mutex::new(Vec::new())));
    let schemes = Arc::clone(&asked);
    let sign: TlsSigner = Arc::new(move |scheme, data| {
        schemes.lock().unwrap().push(scheme);
        Ok(key.choose_scheme(&[SignatureScheme::from(scheme)]).unwrap().sign(data).unwrap())
    });
    (certificate.pem().into_bytes(), sign, asked)
}

#[test]
fn each_kind_of_key_signs_by_its_schemes() {
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    let keys = [
        (include_str!("../../../tests/fixtures/rsa.pkcs8.pem"), 0x0804),
        (include_str!("../../../tests/fixtures/ec.pkcs8.pem"), 0x0403),
        (include_str!("../../../tests/fixtures/ed25519.pkcs8.pem"), 0x0807),
        (p384.as_str(), 0x0503),
    ];
    for (pem, scheme) in keys {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (certificate, sign, asked) = owned(pem);
            let (server, options) = server(version);
            let signing = SigningCertificate::new(&certificate, sign).unwrap();
            let (config, flag) = signing.client_config(&options).unwrap();
            assert_eq!(handshake(&config, &server), Ok(HandshakeKind::Full));
            assert_eq!(*asked.lock().unwrap(), [scheme], "{signing:?}");
            assert!(!flag.load(Ordering::Acquire));
            // The same client resumes its session without a signature, another one does not.
            assert_eq!(handshake(&config, &server), Ok(HandshakeKind::Resumed));
            let (other, _) = signing.client_config(&options).unwrap();
            assert_eq!(handshake(&other, &server), Ok(HandshakeKind::Full));
            assert_eq!(asked.lock().unwrap().len(), 2);
        }
    }
}

#[test]
fn every_scheme_of_rsa_can_be_asked_for() {
    let (certificate, sign, asked) = owned(include_str!("../../../tests/fixtures/rsa.pkcs8.pem"));
    let signing = SigningCertificate::new(&certificate, sign).unwrap();
    let key = RemoteKey { public: signing.public, sign: signing.sign, signing: Arc::default() };
    for scheme in key.public.kind.schemes {
        let signer = key.choose_scheme(&[SignatureScheme::ED25519, *scheme]).unwrap();
        assert_eq!(signer.scheme(), *scheme);
        // Checked against the certificate inside.
        signer.sign(b"message").unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), [0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601]);
    assert!(key.choose_scheme(&[SignatureScheme::ED25519]).is_none());
}

#[test]
fn a_signature_of_another_key_is_seen_before_the_server_does() {
    let (certificate, _, _) = owned(include_str!("../../../tests/fixtures/ec.pkcs8.pem"));
    let (_, stranger, _) = owned(&KeyPair::generate().unwrap().serialize_pem());
    let (server, options) = server(&rustls::version::TLS13);
    let (config, _) =
        SigningCertificate::new(&certificate, stranger).unwrap().client_config(&options).unwrap();
    let fault = handshake(&config, &server).unwrap_err();
    assert_eq!(fault.cause, Cause::Authentication);
    assert!(fault.detail.contains("does not fit the certificate"), "{fault}");
}
