//! Devices that a certificate authority vouches for.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use iothub_emulator::{CredentialOptions, Hub, Identity, Options};
use rumqttc::mqttbytes::v4::{Connect, Packet};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use support::certificates::{Authority, Leaf};
use support::*;

fn tls(leaf: &Leaf, intermediates: &[&Authority]) -> Tls {
    Tls {
        identity: Some((leaf.der.clone(), leaf.key.clone().try_into().unwrap())),
        intermediates: intermediates.iter().map(|authority| authority.der.clone()).collect(),
        ..Tls::default()
    }
}

/// The return code of a CONNECT of `id` without a password.
fn connect(hub: &Hub, over: Over, tls: Tls, id: &str) -> u8 {
    let mut client = Client::open_over(hub, over, tls);
    let mut connect = Connect::new(id);
    connect.set_login(format!("localhost/{id}/{API}"), "");
    client.send(&Packet::Connect(connect));
    client.expect_connack().code as u8
}

#[test]
fn a_device_with_a_certificate_from_a_trusted_authority_is_let_in() {
    let root = Authority::root("root");
    let middle = root.intermediate("middle");
    let (hub, events) = start(Options::default().x509_ca_device("d").x509_root(root.pem()));
    assert_eq!(hub.connection_string("d").unwrap(), "HostName=localhost;DeviceId=d;x509=true");
    static OLD: &[&SupportedProtocolVersion] = &[&TLS12];
    static NEW: &[&SupportedProtocolVersion] = &[&TLS13];
    for over in [Over::Tls, Over::WebSocket] {
        for versions in [OLD, NEW] {
            for (leaf, rest) in [
                (root.leaf("d"), vec![]),
                (middle.leaf("d"), vec![&middle]),
                (root.leaf_of_first_version("d"), vec![]),
            ] {
                let tls = Tls { versions, ..tls(&leaf, &rest) };
                assert_eq!(connect(&hub, over, tls, "d"), 0, "{over:?}");
                assert!(events.next("connected")["auth"].as_str().unwrap().contains("x509"));
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let middle = root.intermediate("middle");
    let options =
        Options::default().device("k").x509_ca_device("d").x509_ca_device("e").x509_root(root.pem());
    let (hub, events) = start(options);
    let old = root.leaf_with("d", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let early = root.leaf_with("d", |params| params.not_before = rcgen::date_time_ymd(2500, 1, 1));
    let cases = [
        ("d", tls(&other.leaf("d"), &[]), "no trusted root"),
        ("d", tls(&middle.leaf("d"), &[]), "its issuer is CN=middle"),
        ("d", tls(&old, &[]), "expired on"),
        ("d", tls(&early, &[]), "not valid before"),
        ("e", tls(&root.leaf("d"), &[]), "(CN) is 'd' and not 'e'"),
        ("d", Tls::default(), "showed none"),
        ("k", tls(&root.leaf("k"), &[]), "no SAS token"),
    ];
    for (id, tls, part) in cases {
        assert_eq!(connect(&hub, Over::Tls, tls, id), 5, "{part}");
        let refused = events.next("refused");
        assert_eq!(refused["device"], id);
        assert!(refused["reason"].as_str().unwrap().contains(part), "{refused}");
    }
}

#[test]
fn a_module_has_a_certificate_in_its_own_name() {
    let root = Authority::root("root");
    let module = Identity::module("d", "m");
    let options = Options::default().device("d").identity(module, CredentialOptions::Authority);
    let (hub, _events) = start(options.x509_root(root.pem()));
    for (common_name, code) in [("d/m", 0), ("d", 5), ("m", 5)] {
        assert_eq!(connect(&hub, Over::Tls, tls(&root.leaf(common_name), &[]), "d/m"), code, "{common_name}");
    }
}

#[test]
fn the_key_of_a_certificate_has_to_be_there() {
    let root = Authority::root("root");
    let (hub, _events) = start(Options::default().x509_ca_device("d").x509_root(root.pem()));
    for leaf in [root.leaf("d"), root.leaf_of_first_version("d")] {
        for version in [&TLS12, &TLS13] {
            let stolen = Leaf { key: root.leaf("d").key, der: leaf.der.clone() };
            let versions: &'static [&'static SupportedProtocolVersion] = Box::leak(Box::new([version]));
            let mut client = Client::open(&hub, Tls { versions, ..tls(&stolen, &[]) });
            let mut connect = Connect::new("d");
            connect.set_login(format!("localhost/d/{API}"), "");
            client.send(&Packet::Connect(connect));
            client.expect_close();
        }
    }
}

#[test]
fn an_unusable_root_stops_the_start() {
    for (pem, part) in [("/nowhere/root.pem", "/nowhere/root.pem"), ("-----BEGIN", "no certificate")] {
        let error = Hub::start(Options::default().x509_root(pem)).unwrap_err().to_string();
        assert!(error.starts_with("--x509-root") && error.contains(part), "{error}");
    }
}
