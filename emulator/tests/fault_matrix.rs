//! Every fault for a device and a module, over TLS and WebSocket, live and at the next CONNECT.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use iothub_emulator::{Fault, Hub};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet};
use support::*;

/// One of the four kinds of link, at a hub of its own.
struct Link {
    hub: Hub,
    events: Events,
    over: Over,
    id: &'static str,
}

impl Link {
    fn connect(&self) -> Client {
        Client::connect_over(&self.hub, self.over, self.id)
    }

    /// Sends CONNECT and reads nothing.
    fn connecting(&self) -> Client {
        let mut client = Client::open_over(&self.hub, self.over, Tls::default());
        client.send(&Packet::Connect(connect_packet(&self.hub, self.id)));
        client
    }

    fn topic(&self) -> &'static str {
        if self.id == "d" { "devices/d/messages/events/" } else { "devices/d/modules/m/messages/events/" }
    }

    fn fault(&self, kind: &str) -> Fault {
        Fault::new(kind, self.id)
    }

    /// The other identity of the device is none of the fault's business.
    fn bystander(&self) -> Client {
        Client::connect(&self.hub, if self.id == "d" { "d/m" } else { "d" })
    }
}

fn on_every_link(test: impl Fn(&Link)) {
    for over in [Over::Tls, Over::WebSocket] {
        for id in ["d", "d/m"] {
            let (hub, events) = hub();
            test(&Link { hub, events, over, id });
        }
    }
}

fn read(client: &mut Client, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < count {
        let more = client.receive_bytes();
        assert!(!more.is_empty(), "closed after {got:?}");
        got.extend(more);
    }
    got
}

fn is_alive(client: &mut Client) {
    client.send(&Packet::PingReq);
    assert_eq!(client.receive(), Some(Packet::PingResp));
}

#[test]
fn what_ends_a_connection_ends_it_live_and_at_connect() {
    on_every_link(|link| {
        let mut bystander = link.bystander();
        for (kind, code) in [
            ("drop", "fault"),
            ("lose_session", "fault"),
            ("drop_and_lose_session", "fault"),
            ("expire", "expired"),
            ("take_over", "taken_over"),
        ] {
            let mut client = link.connect();
            assert_eq!(link.hub.fault(&link.fault(kind).count(2)).unwrap(), 1, "{kind}");
            client.expect_close();
            assert_eq!(link.events.next("disconnected")["code"], code);
            // One use is left.
            let mut client = link.connect();
            client.expect_close();
            assert_eq!(link.events.next("disconnected")["code"], code);
            is_alive(&mut link.connect());
            assert_eq!(link.events.next("disconnected")["code"], "lost");
        }
        is_alive(&mut bystander);
    });
}

#[test]
fn a_lost_session_is_lost() {
    on_every_link(|link| {
        drop(link.connect());
        link.hub.fault(&link.fault("lose_session")).unwrap();
        let mut client = link.connecting();
        let connack = client.expect_connack();
        assert!(!connack.session_present);
    });
}

#[test]
fn after_messages_counts_on_each_connection() {
    on_every_link(|link| {
        let mut client = link.connect();
        link.hub.fault(&link.fault("drop").after_messages(2).count(2)).unwrap();
        for round in 0..2 {
            client.publish(link.topic(), 1, "x");
            client.publish(link.topic(), 2, "x");
            client.expect_puback(1);
            client.expect_close();
            assert_eq!(link.events.next("disconnected")["code"], "fault", "{round}");
            client = link.connect();
        }
        for id in 1..=3 {
            client.publish(link.topic(), id, "x");
            client.expect_puback(id);
        }
    });
}

#[test]
fn truncate_and_corrupt_at_connect_come_after_connack() {
    on_every_link(|link| {
        const CONNACK: [u8; 4] = [0x20, 2, 1, 0];
        for (kind, bytes) in [("truncate", &[0x30, 0x20, 0, 0x10, b'd'][..]), ("corrupt", &[0xf0, 1, 0xff])] {
            let mut live = link.connect();
            link.hub.fault(&link.fault(kind)).unwrap();
            assert_eq!(read(&mut live, bytes.len()), bytes);
            if kind == "corrupt" {
                is_alive(&mut live);
            }
            drop(live);
            link.events.next("disconnected");

            link.hub.fault(&link.fault(kind)).unwrap();
            let mut later = link.connecting();
            assert_eq!(read(&mut later, 4 + bytes.len()), [&CONNACK, bytes].concat());
            match kind {
                "corrupt" => is_alive(&mut later),
                _ => assert!(later.receive_bytes().is_empty(), "closed in the middle of the packet"),
            }
            drop(later);
            link.events.next("disconnected");
        }
    });
}

#[test]
fn half_open_begins_at_once_or_right_after_connack() {
    on_every_link(|link| {
        let mut live = link.connect();
        assert_eq!(link.hub.fault(&link.fault("half_open").count(2)).unwrap(), 1);
        live.publish(link.topic(), 1, "never read");
        let mut second = link.connect();
        live.expect_close();
        assert_eq!(link.events.next("disconnected")["code"], "taken_over");
        second.publish(link.topic(), 1, "never read, either");
        let mut third = link.connect();
        second.expect_close();
        third.publish(link.topic(), 1, "read");
        third.expect_puback(1);
        assert_eq!(link.events.next("telemetry")["body"], "read");
    });
}

#[test]
fn half_open_ends_with_its_time() {
    on_every_link(|link| {
        let time = Duration::from_millis(100);
        let start = Instant::now();
        link.hub.fault(&link.fault("half_open").for_time(time).count(1)).unwrap();
        let mut client = link.connect();
        client.publish(link.topic(), 1, "x");
        client.expect_puback(1);
        assert!(start.elapsed() >= time);
    });
}

#[test]
fn delay_and_slow_reader_hold_up_and_lose_nothing() {
    on_every_link(|link| {
        for kind in ["delay", "slow_reader"] {
            for live in [true, false] {
                let connected = live.then(|| link.connect());
                link.hub.fault(&link.fault(kind).for_time(Duration::from_millis(60)).count(1)).unwrap();
                let mut client = connected.unwrap_or_else(|| link.connect());
                client.publish(link.topic(), 1, &"x".repeat(2000));
                client.expect_puback(1);
                assert_eq!(link.events.next("telemetry")["body"].as_str().unwrap().len(), 2000);
            }
        }
    });
}

#[test]
fn every_return_code_refuses() {
    on_every_link(|link| {
        for code in 1..=5 {
            link.hub.fault(&link.fault("refuse").code(code)).unwrap();
            let mut client = link.connecting();
            assert_eq!(client.expect_connack().code as u16, code);
            client.expect_close();
            assert_eq!(link.events.next("refused")["return_code"], code);
        }
        link.hub.fault(&link.fault("refuse")).unwrap();
        assert_eq!(link.connecting().expect_connack().code, ConnectReturnCode::ServiceUnavailable);
        is_alive(&mut link.connect());
    });
}

#[test]
fn mute_answers_no_connect() {
    on_every_link(|link| {
        link.hub.fault(&link.fault("mute")).unwrap();
        let silent = link.connecting();
        let event = link.events.next("refused");
        assert_eq!(event["code"], "fault");
        assert!(event["return_code"].is_null());
        is_alive(&mut link.bystander());
        assert!(!link.hub.is_connected(link.id));
        drop(silent);
        is_alive(&mut link.connect());

        let time = Duration::from_millis(100);
        let start = Instant::now();
        link.hub.fault(&link.fault("mute").for_time(time).count(1)).unwrap();
        let mut late = link.connecting();
        late.publish(link.topic(), 9, "sent ahead");
        let ConnAck { code, .. } = late.expect_connack();
        assert_eq!(code, ConnectReturnCode::Success);
        assert!(start.elapsed() >= time);
        late.expect_puback(9);
    });
}

#[test]
fn twin_requests_fail_or_get_no_answer() {
    on_every_link(|link| {
        let mut client = link.connect();
        client.subscribe("$iothub/twin/res/#", QoS::AtMostOnce);
        for (fault, status) in [
            (link.fault("throttle"), 429),
            (link.fault("server_error"), 500),
            (link.fault("server_error").code(503), 503),
        ] {
            link.hub.fault(&fault.count(2)).unwrap();
            client.publish("$iothub/twin/GET/?$rid=1", 0, "");
            client.publish("$iothub/twin/PATCH/properties/reported/?$rid=2", 1, "{}");
            for rid in [1, 2] {
                let answer = client.expect_publish();
                assert_eq!(answer.topic, format!("$iothub/twin/res/{status}/?$rid={rid}"));
                let body: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
                assert_eq!(body["errorCode"], status * 1000 + 1);
            }
            client.expect_puback(1);
            for section in [serde_json::Value::Null, "reported".into()] {
                let event = link.events.next("twin");
                assert_eq!((&event["section"], &event["status"]), (&section, &status.into()));
            }
        }
        link.hub.fault(&link.fault("no_answer").count(2)).unwrap();
        client.publish("$iothub/twin/GET/?$rid=1", 0, "");
        client.publish("$iothub/twin/PATCH/properties/reported/?$rid=2", 1, r#"{"a":1}"#);
        client.expect_puback(1);
        client.publish("$iothub/twin/GET/?$rid=3", 0, "");
        let answer = client.expect_publish();
        assert_eq!(answer.topic, "$iothub/twin/res/200/?$rid=3");
        assert!(!String::from_utf8_lossy(&answer.payload).contains("\"a\""), "the report was dropped");
    });
}

#[test]
fn everybody_is_meant_by_a_star() {
    let (hub, _events) = hub();
    let mut clients = [
        Client::connect_over(&hub, Over::Tls, "d"),
        Client::connect_over(&hub, Over::WebSocket, "d/m"),
        Client::connect_over(&hub, Over::WebSocket, "e"),
    ];
    assert_eq!(hub.fault(&Fault::new("drop", "*")).unwrap(), 3);
    clients.iter_mut().for_each(Client::expect_close);
}
