//! Telemetry, C2D and their sessions.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use iothub_emulator::{CloudMessage, Fault, Hub, Options, Settings};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, UnsubAck, Unsubscribe};
use serde_json::json;
use support::*;

const DEVICEBOUND: &str = "devices/d/messages/devicebound/#";

#[test]
fn telemetry_is_recorded_with_what_the_hub_adds() {
    let (hub, events) = hub();
    let (mut client, _) = Client::connect_with(&hub, "d", |c| {
        if let Some(login) = &mut c.login {
            login.username.push_str("&model-id=dtmi%3Acom%3Athing%3B1");
        }
    });
    client.publish(
        "devices/d/messages/events/%24.mid=7&%24.ct=application%2Fjson&%24.ce=utf-8&a=1&n&e=&iothub-connection-device-id=x",
        1,
        "{\"t\":1}",
    );
    client.expect_puback(1);
    let event = events.next("telemetry");
    assert_eq!(event["body"], "{\"t\":1}");
    assert_eq!(event["device"], "d");
    assert_eq!(
        event["properties"],
        json!({"a": "1", "n": null, "e": "", "iothub-connection-device-id": "x"})
    );
    let system = event["system"].as_object().unwrap();
    for (name, value) in [
        ("message-id", "7"),
        ("content-type", "application/json"),
        ("content-encoding", "utf-8"),
        ("iothub-connection-device-id", "d"),
        ("iothub-message-source", "Telemetry"),
        ("dt-dataschema", "dtmi:com:thing;1"),
    ] {
        assert_eq!(system[name], value);
    }
    assert!(system["iothub-connection-auth-method"].as_str().unwrap().contains(r#""scope":"device""#));
    assert!(
        system.contains_key("iothub-enqueuedtime") && !system.contains_key("iothub-connection-module-id")
    );
}

#[test]
fn a_module_is_named_and_a_body_need_not_be_text() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d/m");
    let mut packet = publish("devices/d/modules/m/messages/events/%24.on=out", 0, "");
    packet.payload = bytes::Bytes::from_static(&[0xff, 0x00]);
    client.send(&Packet::Publish(packet));
    let event = events.next("telemetry");
    assert_eq!((&event["body_base64"], &event["module"]), (&json!("/wA="), &json!("m")));
    assert!(event.get("body").is_none());
    assert_eq!(event["system"]["iothub-connection-module-id"], "m");
    assert_eq!(event["system"]["output-name"], "out");
}

#[test]
fn retain_and_dup_become_properties() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    let mut packet = publish("devices/d/messages/events/", 3, "x");
    packet.retain = true;
    packet.dup = true;
    client.send(&Packet::Publish(packet));
    client.expect_puback(3);
    assert_eq!(events.next("telemetry")["properties"], json!({"mqtt-retain": "true", "mqtt-dup": "true"}));
}

#[test]
fn a_message_of_exactly_256_kib_is_taken_and_one_byte_more_is_not() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    let body = "x".repeat(262_144 - 3);
    client.publish("devices/d/messages/events/k=v1", 1, &body);
    client.expect_puback(1);
    client.publish("devices/d/messages/events/k=v12", 2, &body);
    client.expect_close();
    assert_eq!(events.next("disconnected")["code"], "too_large");
}

#[test]
fn acknowledgements_keep_the_order_of_a_burst() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    let mut bytes = bytes::BytesMut::new();
    for id in 1..=1000u16 {
        publish("devices/d/messages/events/", id, &id.to_string()).write(&mut bytes).unwrap();
    }
    client.send_bytes(&bytes);
    for id in 1..=1000u16 {
        client.expect_puback(id);
        assert_eq!(events.next("telemetry")["body"], id.to_string());
    }
}

#[test]
fn a_client_that_reads_no_acknowledgement_can_still_send() {
    let hub = Hub::start(Options::default().device("d")).unwrap();
    let mut client = Client::connect(&hub, "d");
    let mut bytes = bytes::BytesMut::new();
    for _ in 0..1000 {
        publish("devices/d/messages/events/", 1, "x").write(&mut bytes).unwrap();
    }
    // Megabytes of acknowledgements, more than the sockets' buffers take.
    for _ in 0..1000 {
        client.send_bytes(&bytes);
    }
    let events = Events(hub.events());
    client.publish("devices/d/messages/events/", 1, "last");
    events.find("telemetry", |event| event["body"] == "last");
}

#[test]
fn c2d_reaches_a_subscriber_and_is_completed_by_its_puback() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    let id = hub.send_c2d("d", CloudMessage::new("hi").with_property("a", Some("b c"))).unwrap();
    let publish = client.expect_publish();
    assert_eq!(
        publish.topic,
        format!(
            "devices/d/messages/devicebound/%24.mid={id}&%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound&iothub-ack=none&a=b%20c"
        )
    );
    assert_eq!((publish.qos, publish.dup, &publish.payload[..]), (QoS::AtLeastOnce, false, &b"hi"[..]));
    assert_eq!(events.next("c2d")["state"], "queued");
    assert_eq!(events.next("c2d")["state"], "delivered");
    client.acknowledge(publish.pkid);
    let settled = events.next("c2d");
    assert_eq!(
        (&settled["state"], &settled["message_id"], &settled["delivery_count"]),
        (&json!("completed"), &json!(id), &json!(1))
    );
}

#[test]
fn qos_0_completes_at_once_and_qos_2_is_granted_1() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(DEVICEBOUND, QoS::AtMostOnce);
    hub.send_c2d("d", CloudMessage::new("zero")).unwrap();
    assert_eq!(client.expect_publish().qos, QoS::AtMostOnce);
    events.find("c2d", |e| e["state"] == "completed");
    client.subscribe(DEVICEBOUND, QoS::ExactlyOnce);
    hub.send_c2d("d", CloudMessage::new("one")).unwrap();
    assert_eq!(client.expect_publish().qos, QoS::AtLeastOnce);
}

#[test]
fn a_kept_session_gets_its_messages_right_after_connack() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    hub.send_c2d("d", CloudMessage::new("unacknowledged")).unwrap();
    let first = client.expect_publish();
    client.disconnect();
    events.next("disconnected");
    hub.send_c2d("d", CloudMessage::new("while away")).unwrap();

    let (mut client, session_present) = Client::connect_with(&hub, "d", |_| ());
    assert!(session_present);
    let again = client.expect_publish();
    assert_eq!((&again.payload[..], again.dup, again.pkid), (&b"unacknowledged"[..], true, first.pkid));
    let queued = client.expect_publish();
    assert_eq!((&queued.payload[..], queued.dup), (&b"while away"[..], false));
    assert_ne!(queued.pkid, again.pkid);
}

#[test]
fn a_clean_session_starts_with_nothing_and_leaves_nothing() {
    let (hub, events) = hub();
    let (mut client, session_present) = Client::connect_with(&hub, "d", |c| c.clean_session = true);
    assert!(!session_present);
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    hub.send_c2d("d", CloudMessage::new("kept by the hub")).unwrap();
    client.expect_publish();
    client.disconnect();
    events.next("disconnected");

    let (mut client, session_present) = Client::connect_with(&hub, "d", |_| ());
    assert!(!session_present);
    client.send(&Packet::PingReq);
    assert_eq!(client.receive(), Some(Packet::PingResp), "nothing before SUBSCRIBE");
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    let publish = client.expect_publish();
    assert_eq!((&publish.payload[..], publish.dup), (&b"kept by the hub"[..], false));
    client.disconnect();

    let (_, session_present) = Client::connect_with(&hub, "d", |c| c.clean_session = true);
    assert!(!session_present, "CleanSession 1 ends the stored session");
    let (_, session_present) = Client::connect_with(&hub, "d", |_| ());
    assert!(!session_present, "and keeps none");
}

#[test]
fn unsubscribing_ends_the_delivery() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    client.send(&Packet::Unsubscribe(Unsubscribe { pkid: 4, topics: vec![DEVICEBOUND.into()] }));
    assert_eq!(client.receive(), Some(Packet::UnsubAck(UnsubAck::new(4))));
    hub.send_c2d("d", CloudMessage::new("x")).unwrap();
    assert_eq!(events.next("c2d")["state"], "queued");
    client.send(&Packet::PingReq);
    assert_eq!(client.receive(), Some(Packet::PingResp));
}

#[test]
fn losing_the_session_on_demand_shows_in_the_next_connack() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    hub.send_c2d("d", CloudMessage::new("x")).unwrap();
    client.expect_publish();
    assert_eq!(hub.fault(&Fault::new("lose_session", "d")).unwrap(), 1);
    client.expect_close();
    assert_eq!(events.next("disconnected")["code"], "fault");
    let (mut client, session_present) = Client::connect_with(&hub, "d", |_| ());
    assert!(!session_present);
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    let publish = client.expect_publish();
    assert_eq!((&publish.payload[..], publish.dup), (&b"x"[..], false));
    client.disconnect();
    hub.fault(&Fault::new("lose_session", "d")).unwrap();
    let (_, session_present) = Client::connect_with(&hub, "d", |_| ());
    assert!(!session_present, "also while it is not connected");
}

#[test]
fn an_unacknowledged_message_comes_again_on_a_live_connection() {
    let settings = Settings { c2d_lock: Duration::from_millis(400), ..Settings::default() };
    let (hub, events) = start(Options { settings, ..Options::default().device("d") });
    let mut client = Client::connect(&hub, "d");
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    hub.send_c2d("d", CloudMessage::new("x")).unwrap();
    let first = client.expect_publish();
    let second = client.expect_publish();
    assert_eq!((&second.payload[..], second.dup), (&b"x"[..], false), "a new delivery, not a retransmission");
    assert_ne!(second.pkid, first.pkid);
    let count = |state: &'static str| events.find("c2d", |e| e["state"] == state)["delivery_count"].clone();
    assert_eq!(count("unlocked"), 1);
    assert_eq!(count("delivered"), 2);
    // The late one completes nothing; the id of the third delivery does.
    client.acknowledge(first.pkid);
    let third = client.expect_publish();
    client.acknowledge(third.pkid);
    assert!(count("completed").as_u64().unwrap() >= 3);
}
