//! Messages between the modules of a device.

#![allow(clippy::unwrap_used)]

mod support;

use iothub_emulator::{CloudMessage, Fault, Options};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use serde_json::json;
use support::*;

const OUT: &str = "devices/d/modules/m/messages/events/";

fn options() -> Options {
    Options::default().device("d").module("d", "m").module("d", "n").route("d/m/out", "d/n/in")
}

fn subscribed(hub: &iothub_emulator::Hub, over: Over, qos: QoS) -> Client {
    let mut client = Client::connect_over(hub, over, "d/n");
    client.subscribe("devices/d/modules/n/#", qos);
    client
}

#[test]
fn an_output_reaches_the_input_that_its_route_names() {
    for over in [Over::Tls, Over::WebSocket] {
        let (hub, events) = start(options());
        let mut receiver = subscribed(&hub, over, QoS::AtLeastOnce);
        let mut sender = Client::connect_over(&hub, over, "d/m");
        sender.publish(&format!("{OUT}%24.on=other"), 1, "routed nowhere");
        sender.publish(OUT, 2, "no output");
        sender.publish(&format!("{OUT}%24.on=out&%24.mid=7&level=a%2Fb%20c&n&%24.cmid=forged/"), 3, "hello");
        let publish = receiver.expect_publish();
        assert_eq!(
            publish.topic,
            "devices/d/modules/n/inputs/in/level=a%2Fb%20c&n&%24.mid=7&%24.cmid=m&%24.cdid=d"
        );
        assert_eq!((&publish.payload[..], publish.qos), (&b"hello"[..], QoS::AtLeastOnce));
        for id in 1..=3 {
            sender.expect_puback(id);
        }
        // The hub's back-end sees all of it.
        assert_eq!(events.next("telemetry")["body"], "routed nowhere");
        assert_eq!(events.find("telemetry", |e| e["body"] == "hello")["system"]["output-name"], "out");
        for state in ["queued", "delivered"] {
            let event = events.next("input");
            assert_eq!(event["state"], state);
            assert_eq!(
                [&event["device"], &event["module"], &event["input"], &event["message_id"]],
                [&json!("d"), &json!("n"), &json!("in"), &json!("7")]
            );
        }
        receiver.acknowledge(publish.pkid);
        assert_eq!(events.next("input")["state"], "completed");
    }
}

#[test]
fn what_is_not_acknowledged_comes_again_in_the_same_session() {
    let (hub, events) = start(options());
    let mut receiver = subscribed(&hub, Over::Tls, QoS::AtLeastOnce);
    let mut sender = Client::connect(&hub, "d/m");
    sender.publish(&format!("{OUT}%24.on=out"), 1, "first");
    let first = receiver.expect_publish();
    hub.fault(&Fault::new("drop", "d/n")).unwrap();
    receiver.expect_close();
    sender.publish(&format!("{OUT}%24.on=out"), 2, "while away");
    events.find("telemetry", |e| e["body"] == "while away");

    let (mut receiver, session_present) = Client::connect_with(&hub, "d/n", |_| ());
    assert!(session_present);
    let again = receiver.expect_publish();
    assert_eq!((&again.payload[..], again.dup, again.pkid), (&b"first"[..], true, first.pkid));
    let second = receiver.expect_publish();
    assert_eq!((&second.payload[..], second.dup), (&b"while away"[..], false));
    receiver.acknowledge(again.pkid);
    receiver.acknowledge(second.pkid);
    for _ in 0..2 {
        events.find("input", |e| e["state"] == "completed");
    }
    let (mut receiver, _) = Client::connect_with(&hub, "d/n", |_| ());
    receiver.send(&Packet::PingReq);
    assert_eq!(receiver.receive(), Some(Packet::PingResp), "nothing is left");
}

#[test]
fn at_qos_0_a_message_is_sent_once() {
    let (hub, events) = start(options());
    let mut receiver = subscribed(&hub, Over::Tls, QoS::AtMostOnce);
    hub.send_input("d/n", "in", CloudMessage::new("x")).unwrap();
    assert_eq!(receiver.expect_publish().qos, QoS::AtMostOnce);
    assert_eq!(events.find("input", |e| e["state"] == "completed")["delivery_count"], 1);
}

#[test]
fn many_wait_and_all_arrive_in_order() {
    let (hub, events) = start(options());
    for i in 0..500 {
        hub.send_input("d/n", "in", CloudMessage::new(i.to_string())).unwrap();
    }
    assert_eq!(hub.send_input("d/n", "in", CloudMessage::new("x")).unwrap_err().code, 403_004);
    let mut sender = Client::connect(&hub, "d/m");
    sender.publish(&format!("{OUT}%24.on=out&%24.mid=late"), 1, "one too many");
    sender.expect_puback(1);
    assert_eq!(events.find("input", |e| e["state"] == "dropped")["message_id"], "late");

    let mut receiver = subscribed(&hub, Over::Tls, QoS::AtLeastOnce);
    for i in 0..500 {
        let publish = receiver.expect_publish();
        assert_eq!(publish.payload, i.to_string());
        receiver.acknowledge(publish.pkid);
    }
}

#[test]
fn a_test_may_send_to_an_input() {
    let (hub, _events) = start(options());
    let mut receiver = subscribed(&hub, Over::Tls, QoS::AtLeastOnce);
    let mut message = CloudMessage::new(vec![b'x'; 262_144]).with_id("7").with_property("k", None);
    message.content_type = Some("a/b".into());
    message = message.with_property("$.cmid", Some("sender"));
    hub.send_input("d/n", "in put", message).unwrap();
    let publish = receiver.expect_publish();
    assert_eq!(publish.topic, "devices/d/modules/n/inputs/in put/k&%24.cmid=sender&%24.mid=7&%24.ct=a%2Fb");
    assert_eq!(publish.payload.len(), 262_144);
    for (id, input, size, code) in [
        ("d/nobody", "in", 1, 404_010),
        ("d", "in", 1, 400_004),
        ("d/n", "a/b", 1, 400_004),
        ("d/n", "", 1, 400_004),
        ("d/n", "in", 262_145, 413_001),
    ] {
        let refused = hub.send_input(id, input, CloudMessage::new(vec![0; size])).unwrap_err();
        assert_eq!(refused.code, code, "{id} {input}");
    }
}

#[test]
fn routes_are_checked_at_the_start() {
    for (from, to, part) in [
        ("d/m/out", "d/nobody/in", "d/nobody is not given"),
        ("d/m/out", "e/n/in", "one device"),
        ("d/m", "d/n/in", "DEVICE/MODULE/NAME"),
    ] {
        let error = iothub_emulator::Hub::start(options().route(from, to)).err().unwrap().to_string();
        assert!(error.contains(part) && error.contains(from), "{error}");
    }
}
