//! TLS as the client sees it, against a rustls server in the same process, without sockets.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use iothub_mqtt::io::cause::{Cause, Fault};
use iothub_mqtt::io::tls::{ClientCertificate, TlsOptions, server_name};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SupportedProtocolVersion,
};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name))
    };
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A certificate authority and what it issues.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self::named(&format!("Test Root {}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn trusting(&self) -> TlsOptions {
        TlsOptions { trusted_roots: Some(self.pem()), identity: None }
    }

    fn server(&self, names: &[&str]) -> Server<'_> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        Server { authority: self, params, versions: BOTH, clients: None }
    }

    /// A client certificate for a key that exists; PEM.
    fn client_certificate(&self, key_pkcs8: &str) -> Vec<u8> {
        let key = KeyPair::from_pem(key_pkcs8).unwrap();
        let mut params = CertificateParams::new(vec!["dev1".to_owned()]).unwrap();
        params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ClientAuth);
        params.signed_by(&key, &self.0).unwrap().pem().into_bytes()
    }
}

struct Server<'a> {
    authority: &'a Authority,
    params: CertificateParams,
    versions: &'static [&'static SupportedProtocolVersion],
    clients: Option<&'a Authority>,
}

impl Server<'_> {
    fn config(&self) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = self.params.signed_by(&key, &self.authority.0).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions)
            .unwrap();
        let builder = match self.clients {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
    }
}

/// Carries records both ways until neither side has any; the client's error if it has one.
fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    host: &str,
) -> Result<(ClientConnection, ServerConnection), Fault> {
    let mut client = ClientConnection::new(client, server_name(host).unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    let fault = |error| Fault::tls(&format!("{host}:8883"), &error);
    loop {
        let mut records = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut records).unwrap();
        }
        let idle = records.is_empty();
        // The server's own error reaches the client as an alert.
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().ok();
        }
        let mut records = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut records).unwrap();
        }
        if idle && records.is_empty() {
            return Ok((client, server));
        }
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(fault)?;
        }
    }
}

fn connect(options: &TlsOptions, server: &Server<'_>, host: &str) -> Result<ClientConnection, Fault> {
    handshake(options.client_config().unwrap(), server.config(), host).map(|(client, _)| client)
}

fn refused(options: &TlsOptions, server: &Server<'_>, host: &str) -> Fault {
    connect(options, server, host).err().unwrap()
}

fn assert_says(fault: &Fault, cause: Cause, parts: &[&str]) {
    assert_eq!(fault.cause, cause, "{fault}");
    for part in parts {
        assert!(fault.detail.contains(part), "{part:?} is not in {fault}");
    }
}

fn identity(certificate: Vec<u8>, private_key: &str) -> Option<ClientCertificate> {
    Some(ClientCertificate { certificate, private_key: private_key.as_bytes().to_vec() })
}

fn argument_error(certificate: Vec<u8>, private_key: &str) -> String {
    let options = TlsOptions { trusted_roots: None, identity: identity(certificate, private_key) };
    let error = options.client_config().err().unwrap();
    assert_eq!(error.kind(), iothub_mqtt::ErrorKind::Argument);
    error.to_string()
}

#[test]
fn both_versions_with_name_and_address() {
    let authority = Authority::new();
    let mut server = authority.server(&["hub.example", "*.wild.example", "127.0.0.1", "::1"]);
    for (versions, expected) in [
        (BOTH, ProtocolVersion::TLSv1_3),
        (TLS13, ProtocolVersion::TLSv1_3),
        (TLS12, ProtocolVersion::TLSv1_2),
    ] {
        server.versions = versions;
        for host in ["hub.example", "a.wild.example", "127.0.0.1", "[::1]"] {
            let client = connect(&authority.trusting(), &server, host).unwrap();
            assert!(!client.is_handshaking());
            assert_eq!(client.protocol_version(), Some(expected));
        }
    }
}

#[test]
fn one_of_several_roots_is_enough() {
    let (old, new) = (Authority::new(), Authority::new());
    let both = [old.pem(), new.pem()].concat();
    let options = TlsOptions { trusted_roots: Some(both), identity: None };
    for authority in [&old, &new] {
        connect(&options, &authority.server(&["hub.example"]), "hub.example").unwrap();
    }
}

#[test]
fn an_unknown_root_is_untrusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = authority.server(&["hub.example"]);
    for options in [other.trusting(), TlsOptions::default()] {
        let fault = refused(&options, &server, "hub.example");
        assert_says(&fault, Cause::TlsUntrusted, &["hub.example:8883: ", "trusted_roots"]);
    }
}

#[test]
fn a_root_made_anew_under_its_old_name_is_untrusted() {
    let (old, new) = (Authority::named("Test Root"), Authority::named("Test Root"));
    let fault = refused(&old.trusting(), &new.server(&["hub.example"]), "hub.example");
    assert_says(&fault, Cause::TlsUntrusted, &["made anew", "trusted_roots"]);
}

#[test]
fn an_authority_is_no_server() {
    let authority = Authority::new();
    let mut server = authority.server(&["hub.example"]);
    server.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let fault = refused(&authority.trusting(), &server, "hub.example");
    assert_says(&fault, Cause::TlsUntrusted, &["as its own"]);
}

#[test]
fn a_certificate_out_of_its_time() {
    let authority = Authority::new();
    let mut server = authority.server(&["hub.example"]);
    server.params.not_before = date_time_ymd(2019, 1, 1);
    server.params.not_after = date_time_ymd(2020, 2, 29);
    let fault = refused(&authority.trusting(), &server, "hub.example");
    assert_says(&fault, Cause::TlsExpired, &["expired on 2020-02-29 00:00:00 UTC", "clock"]);

    server.params.not_before = date_time_ymd(3000, 1, 1);
    server.params.not_after = date_time_ymd(3001, 1, 1);
    let fault = refused(&authority.trusting(), &server, "hub.example");
    assert_says(&fault, Cause::Clock, &["3000-01-01 00:00:00 UTC", "set the clock"]);
}

#[test]
fn another_name() {
    let authority = Authority::new();
    let server = authority.server(&["other.example", "10.0.0.1"]);
    let fault = refused(&authority.trusting(), &server, "hub.example");
    assert_says(&fault, Cause::TlsName, &["not for hub.example", "other.example", "10.0.0.1"]);
    let fault = refused(&authority.trusting(), &server, "10.0.0.2");
    assert_says(&fault, Cause::TlsName, &["not for 10.0.0.2"]);
}

#[test]
fn a_server_without_tls() {
    let config = Authority::new().trusting().client_config().unwrap();
    let mut client = ClientConnection::new(config, server_name("hub.example").unwrap()).unwrap();
    client.read_tls(&mut &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]).unwrap();
    let fault = Fault::tls("hub.example:80", &client.process_new_packets().unwrap_err());
    assert_says(&fault, Cause::Tls, &["hub.example:80: ", "does not speak TLS"]);
}

#[test]
fn client_certificates_of_every_encoding() {
    let authority = Authority::new();
    let mut server = authority.server(&["hub.example"]);
    server.clients = Some(&authority);
    for (pkcs8, given) in [
        (fixture!("rsa.pkcs8.pem"), fixture!("rsa.pkcs8.pem")),
        (fixture!("rsa.pkcs8.pem"), fixture!("rsa.pkcs1.pem")),
        (fixture!("ec.pkcs8.pem"), fixture!("ec.pkcs8.pem")),
        (fixture!("ec.pkcs8.pem"), fixture!("ec.sec1.pem")),
        (fixture!("ed25519.pkcs8.pem"), fixture!("ed25519.pkcs8.pem")),
    ] {
        let certificate = authority.client_certificate(pkcs8);
        let chain = [certificate.clone(), authority.pem()].concat();
        for versions in [BOTH, TLS12] {
            server.versions = versions;
            for certificate in [&certificate, &chain] {
                let options =
                    TlsOptions { identity: identity(certificate.clone(), given), ..authority.trusting() };
                let config = options.client_config().unwrap();
                let (_, seen) = handshake(config, server.config(), "hub.example").unwrap();
                let count = if certificate == &chain { 2 } else { 1 };
                assert_eq!(seen.peer_certificates().map(<[_]>::len), Some(count));
            }
        }
    }
}

#[test]
fn a_client_certificate_that_the_server_refuses() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut server = authority.server(&["hub.example"]);
    server.clients = Some(&other);
    let fault = refused(&authority.trusting(), &server, "hub.example");
    assert_says(&fault, Cause::Authentication, &["asks for a client certificate"]);

    let certificate = authority.client_certificate(fixture!("ec.pkcs8.pem"));
    let options =
        TlsOptions { identity: identity(certificate, fixture!("ec.sec1.pem")), ..authority.trusting() };
    let fault = refused(&options, &server, "hub.example");
    assert_says(&fault, Cause::Authentication, &["refused the client certificate"]);
}

#[test]
fn a_key_of_another_certificate() {
    let authority = Authority::new();
    let of = |key| authority.client_certificate(key);
    let (rsa, ec) = (fixture!("rsa.pkcs8.pem"), fixture!("ec.pkcs8.pem"));
    let other_ec = KeyPair::generate().unwrap().serialize_pem();
    for (certificate, key) in [
        (of(rsa), ec),
        (of(ec), fixture!("rsa.pkcs1.pem")),
        (of(&other_ec), fixture!("ec.sec1.pem")),
        (of(ec), &other_ec),
        (of(ec), fixture!("ed25519.pkcs8.pem")),
        (fixture!("ec.v1.crt.pem").into(), rsa),
    ] {
        let error = argument_error(certificate, key);
        assert!(error.starts_with("private_key: does not belong"), "{error}");
    }
    let reversed = [authority.pem(), of(ec)].concat();
    let error = argument_error(reversed, ec);
    assert!(error.contains("belongs to certificate 2 of 2"), "{error}");
}

#[test]
fn keys_that_cannot_be_used() {
    let certificate = Authority::new().client_certificate(fixture!("rsa.pkcs8.pem"));
    for (key, part) in [
        (fixture!("rsa.pkcs8.encrypted.pem"), "openssl pkey -in"),
        (fixture!("rsa.pkcs1.encrypted.pem"), "openssl pkey -in"),
        (fixture!("p521.sec1.pem"), "P-256 or P-384"),
        (fixture!("ec.v1.crt.pem"), "it holds: CERTIFICATE"),
        (concat!(fixture!("ec.sec1.pem"), fixture!("rsa.pkcs1.pem")), "2 private keys"),
    ] {
        let error = argument_error(certificate.clone(), key);
        assert!(error.starts_with("private_key: ") && error.contains(part), "{error}");
    }
    let error = argument_error(fixture!("ec.sec1.pem").into(), fixture!("ec.sec1.pem"));
    assert!(error.starts_with("certificate: no certificate"), "{error}");
}

#[test]
fn version_1_certificates_are_taken() {
    let identity = identity(fixture!("ec.v1.crt.pem").into(), fixture!("ec.sec1.pem"));
    TlsOptions { trusted_roots: None, identity }.client_config().unwrap();
}

#[test]
fn roots_that_are_no_certificates() {
    let broken = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".to_vec();
    let options = |pem: &[u8]| TlsOptions { trusted_roots: Some(pem.to_vec()), identity: None };
    let error = options(&broken).client_config().err().unwrap();
    assert!(error.detail().starts_with("trusted_roots: no certificate in it is valid"), "{error}");
    // One bad certificate of a bundle does not take the good ones with it.
    options(&[broken, Authority::new().pem()].concat()).client_config().unwrap();
}

#[test]
fn equal_options_share_one_configuration() {
    let (authority, other) = (Authority::new(), Authority::new());
    let first = authority.trusting().client_config().unwrap();
    assert!(Arc::ptr_eq(&first, &authority.trusting().client_config().unwrap()));
    assert!(!Arc::ptr_eq(&first, &other.trusting().client_config().unwrap()));

    let certificate = authority.client_certificate(fixture!("ec.pkcs8.pem"));
    let with_identity =
        TlsOptions { identity: identity(certificate, fixture!("ec.sec1.pem")), ..authority.trusting() };
    assert!(!Arc::ptr_eq(&first, &with_identity.client_config().unwrap()));

    // Nothing is kept for a configuration that nobody uses.
    let unused = Arc::downgrade(&first);
    drop(first);
    assert!(unused.upgrade().is_none());
}

#[test]
fn sessions_are_resumed_within_one_identity_only() {
    let authority = Authority::new();
    let mut server = authority.server(&["hub.example"]);
    for versions in [BOTH, TLS12] {
        server.versions = versions;
        let listening = server.config();
        let kind = |options: &TlsOptions| {
            // The configuration has to outlive the connection for its sessions to be found again.
            let config = options.client_config().unwrap();
            let (client, _) = handshake(config.clone(), listening.clone(), "hub.example").unwrap();
            (config, client.handshake_kind())
        };
        let (first, full) = kind(&authority.trusting());
        assert_eq!(full, Some(HandshakeKind::Full));
        let (_, again) = kind(&authority.trusting());
        assert_eq!(again, Some(HandshakeKind::Resumed));
        let certificate = authority.client_certificate(fixture!("ec.pkcs8.pem"));
        let other =
            TlsOptions { identity: identity(certificate, fixture!("ec.sec1.pem")), ..authority.trusting() };
        let (_, other) = kind(&other);
        assert_eq!(other, Some(HandshakeKind::Full));
        drop(first);
    }
}
