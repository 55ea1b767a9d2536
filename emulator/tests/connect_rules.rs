//! The rules of CONNECT that are settings, and those of the packets around it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use iothub_emulator::settings::{ApiVersion, ConnackCode, MismatchCode};
use iothub_emulator::{Hub, Options, Settings};
use rumqttc::mqttbytes::v4::{Connect, Packet};
use support::*;

fn with(settings: Settings) -> (Hub, Events) {
    start(Options { settings, ..Options::default().device("d").module("d", "m") })
}

/// The return code of the CONNACK.
fn answer(hub: &Hub, id: &str, change: impl FnOnce(&mut Connect)) -> u8 {
    let mut client = Client::open(hub, Tls::default());
    let mut connect = connect_packet(hub, id);
    change(&mut connect);
    client.send(&Packet::Connect(connect));
    let code = client.expect_connack().code as u8;
    if code != 0 {
        client.expect_close();
    }
    code
}

fn username(name: &str) -> impl FnOnce(&mut Connect) {
    move |connect| {
        if let Some(login) = &mut connect.login {
            login.username = name.to_owned();
        }
    }
}

#[test]
fn every_form_of_the_user_name_lets_a_client_in() {
    let (hub, _events) = hub();
    for name in [
        "localhost/d/?api-version=2021-04-12",
        "LOCALHOST/d/?api-version=2021-04-12",
        "localhost/d/?api-version=2020-09-30&DeviceClientType=iothubclient%2f1.15.0&model-id=dtmi%3aa%3ab%3b1",
        "localhost/d/?api-version=2021-04-12&model-id=dtmi:a:b;1&DeviceClientType=x",
        "localhost/d/?api-version=2025-08-01-preview&auth-chain=leaf%3Bedge1&more=1",
        "localhost/d/api-version=2016-11-14&DeviceClientType=x",
        "localhost/d/api-version=2017-06-30/DeviceClientType=Microsoft.Azure.Devices.Client/1.5.1-preview-003",
    ] {
        assert_eq!(answer(&hub, "d", username(name)), 0, "{name}");
    }
    for name in ["localhost/d/m/?api-version=2021-04-12", "localhost/d/m/api-version=2016-11-14"] {
        assert_eq!(answer(&hub, "d/m", username(name)), 0, "{name}");
    }
}

#[test]
fn other_user_names_get_return_code_5() {
    let (hub, events) = hub();
    for name in [
        "localhost/d",
        "localhost/d/",
        "localhost/d?api-version=2021-04-12",
        "localhost/d/?",
        "localhost/d/?api-version=",
        "localhost/d/?DeviceClientType=x",
        "localhost/d/?api-version=1",
        "localhost//?api-version=2021-04-12",
        "d/?api-version=2021-04-12",
        "localhost/d/m/x/?api-version=2021-04-12",
        "elsewhere.azure-devices.net/d/?api-version=2021-04-12",
        "d",
    ] {
        assert_eq!(answer(&hub, "d", username(name)), 5, "{name}");
        assert_eq!(events.next("refused")["code"], "user_name", "{name}");
    }
}

#[test]
fn a_user_name_that_is_refused_is_quoted_without_secrets() {
    let (hub, events) = hub();
    let long = "x".repeat(300);
    let shortened = format!("'{}...' came", "x".repeat(200));
    for (name, said) in [
        ("me", "'me' came"),
        ("a\u{1b}b", "'a\\u{1b}b' came"),
        (long.as_str(), shortened.as_str()),
        ("HostName=h;DeviceId=d;sharedaccessKey=c2VjcmV0", "what came has a key or a token in it"),
    ] {
        assert_eq!(answer(&hub, "d", username(name)), 5, "{name}");
        let reason = events.next("refused")["reason"].as_str().unwrap().to_owned();
        assert!(reason.ends_with(said) && !reason.contains("c2VjcmV0"), "{reason}");
    }
}

#[test]
fn an_api_version_may_be_optional() {
    let (hub, _events) = with(Settings { api_version: ApiVersion::Optional, ..Settings::default() });
    for (name, code) in [("localhost/d", 0), ("localhost/d/", 0), ("localhost/d/?api-version=soon", 5)] {
        assert_eq!(answer(&hub, "d", username(name)), code, "{name}");
    }
}

#[test]
fn a_client_id_is_that_of_the_user_name_to_the_letter() {
    for (settings, code) in [
        (Settings::default(), 5),
        (Settings { client_id_mismatch: MismatchCode::IdentifierRejected, ..Settings::default() }, 2),
        (Settings { auth_refusal: ConnackCode::BadUserNameOrPassword, ..Settings::default() }, 4),
    ] {
        let mismatch_is_plain = settings.client_id_mismatch == MismatchCode::NotAuthorized;
        let (hub, events) = with(settings);
        for id in ["D", "d/", "d/m", "other", "d "] {
            assert_eq!(answer(&hub, "d", |c| c.client_id = id.into()), code, "{id}");
            assert_eq!(events.next("refused")["code"], "client_id");
        }
        for id in ["d", "d/M", "m"] {
            assert_eq!(answer(&hub, "d/m", |c| c.client_id = id.into()), code, "{id}");
        }
        let no_token = |c: &mut Connect| {
            c.set_login(format!("localhost/d/{API}"), "x");
        };
        assert_eq!(answer(&hub, "d", no_token), if mismatch_is_plain { code } else { 5 });
    }
}

#[test]
fn ids_of_the_whole_character_set_connect() {
    let id = "aZ09-._!'(),=@$:*%?";
    let (hub, events) = start(Options::default().device(id).module(id, "$m%2F"));
    for id in [id.to_owned(), format!("{id}/$m%2F")] {
        let mut client = Client::connect(&hub, &id);
        let module = id.split_once('/').map_or(String::new(), |(_, module)| format!("/modules/{module}"));
        let device = id.split('/').next().unwrap();
        client.publish(&format!("devices/{device}{module}/messages/events/"), 1, &id);
        client.expect_puback(1);
        assert_eq!(events.next("telemetry")["body"], id);
    }
}

#[test]
fn ids_differ_by_case() {
    let (hub, events) = start(Options::default().device("d").device("D"));
    let mut lower = Client::connect(&hub, "d");
    Client::connect(&hub, "D").disconnect();
    events.next("disconnected");
    lower.send(&Packet::PingReq);
    assert_eq!(lower.receive(), Some(Packet::PingResp));
}

#[test]
fn a_token_that_lasts_for_ever_connects() {
    let (hub, _events) = hub();
    let life = i64::MAX;
    let forever = token(&hub, "d", life);
    assert_eq!(
        answer(&hub, "d", |c| {
            c.set_login(format!("localhost/d/{API}"), forever);
        }),
        0
    );
}

#[test]
fn the_skew_of_tokens_is_a_setting() {
    let late = |settings: Settings, life: i64| {
        let (hub, events) = with(settings);
        let token = token(&hub, "d", life);
        let code = answer(&hub, "d", |c| {
            c.set_login(format!("localhost/d/{API}"), token);
        });
        (code, hub, events)
    };
    let none = Settings { token_skew: Duration::ZERO, ..Settings::default() };
    assert_eq!(late(none, -1).0, 5);
    let long = Settings { token_skew: Duration::from_secs(1000), ..Settings::default() };
    assert_eq!(late(long, -900).0, 0);
}

#[test]
fn a_second_connect_on_one_link_closes_it_even_when_it_came_with_the_first() {
    let (hub, events) = hub();
    let mut bytes = bytes::BytesMut::new();
    for _ in 0..2 {
        Packet::Connect(connect_packet(&hub, "d")).write(&mut bytes, usize::MAX).unwrap();
    }
    let mut client = Client::open(&hub, Tls::default());
    client.send_bytes(&bytes);
    assert_eq!(client.expect_connack().code as u8, 0);
    client.expect_close();
    assert_eq!(events.next("disconnected")["reason"], "a second CONNECT on one connection");
}

#[test]
fn what_comes_behind_a_refused_connect_is_not_read() {
    let (hub, events) = hub();
    let mut bytes = bytes::BytesMut::new();
    let mut connect = connect_packet(&hub, "d");
    connect.client_id = "other".into();
    Packet::Connect(connect).write(&mut bytes, usize::MAX).unwrap();
    publish("devices/d/messages/events/", 1, "refused").write(&mut bytes).unwrap();
    let mut client = Client::open(&hub, Tls::default());
    client.send_bytes(&bytes);
    assert_eq!(client.expect_connack().code as u8, 5);
    client.expect_close();
    Client::connect(&hub, "d").publish("devices/d/messages/events/", 1, "accepted");
    assert_eq!(events.next("telemetry")["body"], "accepted");
}

#[test]
fn the_bytes_of_the_worked_session() {
    let (hub, _events) = start(Options::default().device("MyDevice01"));
    let mut connect = connect_packet(&hub, "MyDevice01");
    connect.keep_alive = 240;
    let mut bytes = bytes::BytesMut::new();
    Packet::Connect(connect).write(&mut bytes, usize::MAX).unwrap();
    let mut client = Client::open(&hub, Tls::default());
    client.send_bytes(&bytes);
    assert_eq!(client.receive_bytes(), [0x20, 2, 0, 0]);
    let filter = b"devices/MyDevice01/messages/devicebound/#";
    let mut subscribe = vec![0x82, 5 + filter.len() as u8, 0, 9, 0, filter.len() as u8];
    subscribe.extend_from_slice(filter);
    subscribe.push(2);
    client.send_bytes(&subscribe);
    assert_eq!(client.receive_bytes(), [0x90, 3, 0, 9, 1], "2 is granted as 1");
    let topic = b"devices/MyDevice01/messages/events/%24.mid=1";
    let mut publish = vec![0x32, 4 + topic.len() as u8, 0, topic.len() as u8];
    publish.extend_from_slice(topic);
    publish.extend_from_slice(&[0, 1]);
    client.send_bytes(&publish);
    assert_eq!(client.receive_bytes(), [0x40, 2, 0, 1]);
    client.send_bytes(&[0xc0, 0]);
    assert_eq!(client.receive_bytes(), [0xd0, 0]);
    client.send_bytes(&[0xe0, 0]);
    assert!(client.receive_bytes().is_empty());
}
