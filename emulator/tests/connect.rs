//! CONNECT: who is let in, who is not, and what a second connection does to the first.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use iothub_emulator::{Fault, Options, Settings};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, LastWill, Packet, PubAck};
use rustls::pki_types::PrivateKeyDer;
use support::*;

/// The return code that `change` provokes, after which the hub closes.
fn refusal(hub: &iothub_emulator::Hub, change: impl FnOnce(&mut Connect)) -> u8 {
    let mut client = Client::open(hub, Tls::default());
    let mut connect = connect_packet(hub, "d");
    change(&mut connect);
    client.send(&Packet::Connect(connect));
    let connack = client.expect_connack();
    assert!(!connack.session_present);
    client.expect_close();
    connack.code as u8
}

#[test]
fn both_tls_versions_and_every_kind_of_identity_connect() {
    let (hub, events) = hub();
    static TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    static TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
    for versions in [TLS12, TLS13] {
        let tls = Tls { versions, ..Tls::default() };
        let mut client = Client::open(&hub, tls);
        client.send(&Packet::Connect(connect_packet(&hub, "d")));
        assert_eq!(client.expect_connack().code as u8, 0);
        client.disconnect();
        let connected = events.next("connected");
        assert_eq!((&connected["device"], &connected["module"]), (&"d".into(), &serde_json::Value::Null));
        assert_eq!(events.next("disconnected")["code"], "client");
    }
    Client::connect(&hub, "d/m").disconnect();
    let connected = events.next("connected");
    assert_eq!((&connected["device"], &connected["module"]), (&"d".into(), &"m".into()));
}

#[test]
fn bad_credentials_get_return_code_5_and_a_reason() {
    let (hub, events) = hub();
    let expired = token(&hub, "d", -301);
    let other = token(&hub, "e", 3600);
    type Change = Box<dyn FnOnce(&mut Connect)>;
    let cases: Vec<(Change, &str)> = vec![
        (
            Box::new(move |c| {
                c.set_login(format!("localhost/d/{API}"), expired);
            }),
            "expired",
        ),
        (
            Box::new(move |c| {
                c.set_login(format!("localhost/d/{API}"), other);
            }),
            "does not cover",
        ),
        (
            Box::new(|c| {
                c.set_login(format!("localhost/d/{API}"), "");
            }),
            "no SAS token",
        ),
        (
            Box::new(|c| {
                c.set_login("localhost/d", "x");
            }),
            "user name",
        ),
        (
            Box::new(|c| {
                c.set_login("localhost/d/?api-version=soon", "x");
            }),
            "api-version",
        ),
        (
            Box::new(|c| {
                c.set_login(format!("elsewhere/d/{API}"), "x");
            }),
            "elsewhere",
        ),
        (Box::new(|c| c.client_id = "D".into()), "ClientId"),
        (Box::new(|c| c.login = None), "user name"),
        (
            Box::new(|c| {
                c.client_id = "nobody".into();
                c.set_login(format!("localhost/nobody/{API}"), "x");
            }),
            "not registered",
        ),
    ];
    for (change, part) in cases {
        assert_eq!(refusal(&hub, change), 5, "{part}");
        let refused = events.next("refused");
        assert!(refused["reason"].as_str().unwrap().contains(part), "{refused}");
        assert_eq!(refused["return_code"], 5);
    }
}

#[test]
fn a_token_within_the_clock_skew_is_taken_and_cut_off_at_its_end() {
    let (hub, events) = hub();
    let late = token(&hub, "d", -299);
    let (mut client, _) = Client::connect_with(&hub, "d", |c| {
        c.set_login(format!("localhost/d/{API}"), late);
    });
    client.expect_close();
    assert_eq!(events.next("disconnected")["code"], "expired");
}

#[test]
fn other_protocol_levels_get_return_code_1() {
    let (hub, events) = hub();
    for (name, level) in [("MQTT", 5), ("MQTT", 3), ("MQIsdp", 3)] {
        let mut client = Client::open(&hub, Tls::default());
        let mut packet = vec![0x10, 0, 0, name.len() as u8];
        packet.extend_from_slice(name.as_bytes());
        packet.extend_from_slice(&[level, 2, 0, 60, 0, 1, b'd']);
        packet[1] = (packet.len() - 2) as u8;
        client.send_bytes(&packet);
        assert_eq!(client.expect_connack().code as u8, 1, "{name} {level}");
        client.expect_close();
        assert_eq!(events.next("refused")["code"], "protocol_level");
    }
}

#[test]
fn what_is_no_connect_is_closed_without_a_packet() {
    let (hub, events) = hub();
    for bytes in [&[0xc0, 0][..], &[0x10, 2, 0, 9], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut client = Client::open(&hub, Tls::default());
        client.send_bytes(bytes);
        client.expect_close();
        assert_eq!(events.next("refused")["code"], "protocol");
    }
}

#[test]
fn a_token_for_ever_is_taken() {
    let (hub, _events) = hub();
    for until in [u64::MAX, u64::MAX / 2, 99_999_999_999] {
        let (mut client, _) = Client::connect_with(&hub, "d", |c| {
            c.set_login(format!("localhost/d/{API}"), token_until(&hub, "d", until));
        });
        client.send(&Packet::PingReq);
        assert_eq!(client.receive(), Some(Packet::PingResp), "{until}");
    }
}

#[test]
fn a_client_that_says_nothing_is_closed_at_the_deadline() {
    let options = Options {
        settings: Settings { connect_deadline: Duration::from_millis(50), ..Settings::default() },
        ..Options::default().device("d")
    };
    let (hub, events) = start(options);
    let mut client = Client::open(&hub, Tls::default());
    client.send_bytes(&[0x10]);
    client.expect_close();
    assert_eq!(events.next("refused")["code"], "no_connect");
}

#[test]
fn certificates_are_compared_by_thumbprint() {
    let (key, certificate, thumbprint) = self_signed();
    let options = Options::default().x509_device("x", &thumbprint).x509_device("y", &"0".repeat(40));
    let (hub, events) = start(options);
    assert_eq!(hub.connection_string("x").unwrap(), "HostName=localhost;DeviceId=x;x509=true");
    for (id, shown, code) in [("x", true, 0), ("x", false, 5), ("y", true, 5)] {
        let identity =
            shown.then(|| (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap()));
        let mut client = Client::open(&hub, Tls { identity, ..Tls::default() });
        let mut connect = Connect::new(id);
        connect.set_login(format!("localhost/{id}/{API}"), "");
        client.send(&Packet::Connect(connect));
        assert_eq!(client.expect_connack().code as u8, code, "{id} {shown}");
    }
    assert!(events.next("connected")["auth"].as_str().unwrap().contains("x509"));
    assert!(events.next("refused")["reason"].as_str().unwrap().contains("showed none"));
    assert!(
        events.find("refused", |e| e["device"] == "y")["reason"].as_str().unwrap().contains("Thumbprint")
    );
}

#[test]
fn packets_right_behind_connect_are_taken() {
    let (hub, events) = hub();
    let mut bytes = bytes::BytesMut::new();
    for packet in [
        Packet::Connect(connect_packet(&hub, "d")),
        Packet::Publish(publish("devices/d/messages/events/", 1, "early")),
        Packet::PingReq,
    ] {
        packet.write(&mut bytes, usize::MAX).unwrap();
    }
    let mut client = Client::open(&hub, Tls::default());
    client.send_bytes(&bytes);
    assert_eq!(client.expect_connack().code as u8, 0);
    client.expect_puback(1);
    assert_eq!(client.receive(), Some(Packet::PingResp));
    assert_eq!(events.next("telemetry")["body"], "early");
}

#[test]
fn a_second_connection_takes_over_and_sends_the_firsts_will() {
    let (hub, events) = hub();
    let (mut first, _) = Client::connect_with(&hub, "d", |c| {
        c.last_will = will("devices/d/messages/events/a=b", "gone");
    });
    events.next("connected");
    let (mut second, session_present) = Client::connect_with(&hub, "d", |_| ());
    assert!(session_present);
    first.expect_close();
    let telemetry = events.next("telemetry");
    assert_eq!(telemetry["body"], "gone");
    assert_eq!(telemetry["properties"], serde_json::json!({"a": "b", "iothub-MessageType": "Will"}));
    assert_eq!(events.next("disconnected")["code"], "taken_over");
    events.next("connected");
    second.publish("devices/d/messages/events/", 9, "alive");
    assert_eq!(second.receive(), Some(Packet::PubAck(PubAck::new(9))));
}

#[test]
fn a_module_and_its_device_do_not_disturb_each_other() {
    let (hub, _events) = hub();
    let mut device = Client::connect(&hub, "d");
    let mut module = Client::connect(&hub, "d/m");
    for client in [&mut device, &mut module] {
        client.send(&Packet::PingReq);
        assert_eq!(client.receive(), Some(Packet::PingResp));
    }
}

#[test]
fn a_will_is_sent_when_the_client_vanishes_and_not_after_disconnect() {
    let (hub, events) = hub();
    let with_will = |c: &mut Connect| {
        c.last_will = will("devices/d/messages/events/", "gone");
    };
    let (client, _) = Client::connect_with(&hub, "d", with_will);
    client.disconnect();
    assert_eq!(
        events.0.iter().map(|e| e["event"].clone()).take(2).collect::<Vec<_>>(),
        ["connected", "disconnected"]
    );
    let (client, _) = Client::connect_with(&hub, "d", with_will);
    drop(client);
    assert_eq!(events.next("telemetry")["properties"]["iothub-MessageType"], "Will");
    assert_eq!(events.next("disconnected")["code"], "lost");
}

#[test]
fn wills_that_break_a_rule_are_closed_without_connack() {
    let (hub, events) = hub();
    for (topic, qos) in [
        ("devices/d/messages/events/", QoS::ExactlyOnce),
        ("somewhere/else", QoS::AtLeastOnce),
        ("$iothub/twin/GET/?$rid=1", QoS::AtMostOnce),
    ] {
        let mut client = Client::open(&hub, Tls::default());
        let mut connect = connect_packet(&hub, "d");
        connect.last_will = Some(LastWill::new(topic, "x", qos, false));
        client.send(&Packet::Connect(connect));
        client.expect_close();
        assert_eq!(events.next("refused")["code"], "will");
    }
}

#[test]
fn silence_beyond_one_and_a_half_keep_alives_ends_the_connection() {
    let (hub, events) = hub();
    let (mut client, _) = Client::connect_with(&hub, "d", |c| c.keep_alive = 1);
    client.expect_close();
    assert_eq!(events.next("disconnected")["code"], "keep_alive");
}

#[test]
fn refusing_on_demand_ends_after_its_count() {
    let (hub, events) = hub();
    hub.fault(&Fault::new("refuse", "d").count(2)).unwrap();
    assert_eq!(refusal(&hub, |_| ()), 3);
    assert_eq!(refusal(&hub, |_| ()), 3);
    assert_eq!(events.next("refused")["code"], "fault");
    Client::connect(&hub, "d");
}
