//! The way in: ports, versions, names, certificates.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use iothub_emulator::settings::TlsVersions;
use iothub_emulator::{CredentialOptions, Hub, Identity, Options, Settings};
use rumqttc::mqttbytes::v4::{Connect, Packet};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{CipherSuite, ClientConfig, ClientConnection, SupportedCipherSuite};
use support::*;

/// A TLS handshake with `suites` and for `name`; what was agreed on.
fn handshake(
    hub: &Hub,
    suites: &[SupportedCipherSuite],
    versions: &[&'static rustls::SupportedProtocolVersion],
    name: ServerName<'static>,
) -> Result<CipherSuite, String> {
    let provider = Arc::new(CryptoProvider { cipher_suites: suites.to_vec(), ..ring::default_provider() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots(hub))
        .with_no_client_auth();
    let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(hub.mqtt_address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut socket).map_err(|e| e.to_string())?;
    }
    Ok(session.negotiated_cipher_suite().unwrap().suite())
}

static TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
static TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn localhost() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

#[test]
fn the_versions_of_tls_are_a_setting() {
    for (versions, has_13) in [(TlsVersions::Both, true), (TlsVersions::Tls12, false)] {
        let settings = Settings { tls: versions, ..Settings::default() };
        let (hub, _events) = start(Options { settings, ..Options::default().device("d") });
        assert!(handshake(&hub, ring::ALL_CIPHER_SUITES, TLS12, localhost()).is_ok());
        assert_eq!(handshake(&hub, ring::ALL_CIPHER_SUITES, TLS13, localhost()).is_ok(), has_13);
    }
}

#[test]
fn the_documented_suites_of_gcm_are_spoken() {
    let (hub, _events) = hub();
    for suite in [
        ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ] {
        assert_eq!(handshake(&hub, &[suite], TLS12, localhost()), Ok(suite.suite()));
    }
}

#[test]
fn a_name_in_the_handshake_is_not_needed() {
    let (hub, _events) = hub();
    // A client that connects to an address sends none.
    let address = ServerName::IpAddress(hub.mqtt_address().ip().into());
    assert!(handshake(&hub, ring::ALL_CIPHER_SUITES, TLS12, address).is_ok());
}

#[test]
fn mqtt_without_tls_is_answered_by_no_packet_of_mqtt() {
    let (hub, events) = hub();
    let mut bytes = bytes::BytesMut::new();
    Packet::Connect(connect_packet(&hub, "d")).write(&mut bytes, usize::MAX).unwrap();
    for address in [hub.mqtt_address(), hub.https_address()] {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        // Whether the end comes as an end or as a reset does not matter.
        let _ = socket.read_to_end(&mut answer);
        assert_ne!(answer.first(), Some(&0x20), "no CONNACK");
    }
    for port in ["MQTT", "HTTPS"] {
        let refused = events.next("refused");
        assert_eq!(refused["code"], "tls", "{port}");
        assert!(refused["reason"].as_str().unwrap().contains("the client speaks no TLS"), "{refused}");
    }
}

#[test]
fn a_client_without_the_authority_is_told_of_with_its_file() {
    let (hub, events) = hub();
    for address in [hub.mqtt_address(), hub.https_address()] {
        // Who only looks whether the port is open is no event.
        drop(TcpStream::connect(address).unwrap());
        for version in [TLS12, TLS13] {
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(version)
                .unwrap()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            let mut session = ClientConnection::new(Arc::new(config), localhost()).unwrap();
            let mut socket = TcpStream::connect(address).unwrap();
            while session.is_handshaking() && session.complete_io(&mut socket).is_ok() {}
            let refused = events.next("refused");
            let reason = refused["reason"].as_str().unwrap();
            assert!(reason.contains("UnknownCA"), "{reason}");
            assert!(reason.ends_with(&format!("give it {}", hub.ca_path().display())), "{reason}");
        }
    }
}

#[test]
fn a_module_may_have_a_certificate_and_its_device_a_key() {
    let (key, certificate, thumbprint) = self_signed();
    let options = Options::default()
        .device("d")
        .identity(Identity::module("d", "m"), CredentialOptions::Thumbprints(vec![thumbprint]));
    let (hub, events) = start(options);
    let identity =
        || Some((certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap()));
    for (id, code) in [("d/m", 0), ("d", 5)] {
        let mut client = Client::open(&hub, Tls { identity: identity(), ..Tls::default() });
        let mut connect = Connect::new(id);
        connect.set_login(format!("localhost/{id}/{API}"), "");
        client.send(&Packet::Connect(connect));
        assert_eq!(client.expect_connack().code as u8, code, "{id}");
    }
    let auth = events.next("connected")["auth"].as_str().unwrap().to_owned();
    assert_eq!(auth, r#"{"scope":"module","type":"x509","issuer":"iothub"}"#);
    // A certificate in the handshake does not disturb a device with a key.
    let mut client = Client::open(&hub, Tls { identity: identity(), ..Tls::default() });
    client.send(&Packet::Connect(connect_packet(&hub, "d")));
    assert_eq!(client.expect_connack().code as u8, 0);
}

#[test]
fn the_second_of_two_thumbprints_and_sha_1_count_too() {
    let (key, certificate, _) = self_signed();
    let sha1 = ::ring::digest::digest(&::ring::digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.der());
    let sha1: String = sha1.as_ref().iter().map(|b| format!("{b:02X}")).collect();
    let known = CredentialOptions::Thumbprints(vec!["0".repeat(40), sha1]);
    let (hub, events) =
        start(Options::default().identity(Identity::device("x"), known).x509_device("y", &"A".repeat(64)));
    for (id, code) in [("x", 0), ("y", 5)] {
        let identity =
            Some((certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap()));
        let mut client = Client::open(&hub, Tls { identity, ..Tls::default() });
        let mut connect = Connect::new(id);
        connect.set_login(format!("localhost/{id}/{API}"), "");
        client.send(&Packet::Connect(connect));
        assert_eq!(client.expect_connack().code as u8, code, "{id}");
    }
    let reason = events.next("refused")["reason"].as_str().unwrap().to_owned();
    for part in [
        "401003 IoTHubUnauthorized",
        "SHA1Hash=",
        "SHA2Hash=",
        "PrimaryThumbprint=AAAA",
        "SecondaryThumbprint=",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
}
