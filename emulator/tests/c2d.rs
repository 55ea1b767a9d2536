//! Cloud-to-device messages: the queue, the lock, and what settles a message.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use iothub_emulator::settings::{C2dAtQos0, C2dBagEnd, C2dMessageId, PropertyNames, WrongMessageId};
use iothub_emulator::{CloudMessage, Hub, Options, Settings};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use serde_json::json;
use support::*;

const DEVICEBOUND: &str = "devices/d/messages/devicebound/#";

fn with(settings: Settings) -> (Hub, Events) {
    start(Options { settings, ..Options::default().device("d").module("d", "m") })
}

fn subscribed(hub: &Hub, qos: QoS) -> Client {
    let mut client = Client::connect(hub, "d");
    client.subscribe(DEVICEBOUND, qos);
    client
}

fn nothing_comes(client: &mut Client) {
    client.send(&Packet::PingReq);
    assert_eq!(client.receive(), Some(Packet::PingResp));
}

#[test]
fn any_number_of_deliveries_leads_to_no_dead_letter() {
    let (hub, events) = with(Settings { c2d_lock: Duration::from_millis(5), ..Settings::default() });
    let mut client = subscribed(&hub, QoS::AtLeastOnce);
    hub.send_c2d("d", CloudMessage::new("x").with_id("1")).unwrap();
    // Ten is where a message would be dead-lettered whose receiver abandons it.
    for _ in 0..15 {
        assert_eq!(&client.expect_publish().payload[..], b"x");
    }
    let count = events.find("c2d", |e| e["state"] == "delivered" && e["delivery_count"] == 15);
    assert_eq!(count["message_id"], "1");
}

#[test]
fn a_late_acknowledgement_completes_nothing_and_is_told() {
    let (hub, events) = with(Settings { c2d_lock: Duration::from_millis(500), ..Settings::default() });
    let mut client = subscribed(&hub, QoS::AtLeastOnce);
    hub.send_c2d("d", CloudMessage::new("x").with_id("1")).unwrap();
    let first = client.expect_publish();
    let second = client.expect_publish();
    assert_ne!(first.pkid, second.pkid);
    client.acknowledge(first.pkid);
    let late = events.find("c2d", |e| e["state"] == "late" || e["state"] == "completed");
    assert_eq!(late["state"], "late");
    assert!(late["reason"].as_str().unwrap().starts_with("412002 DeviceMessageLockLost"));
    assert_eq!(late["message_id"], "1");
}

#[test]
fn an_acknowledgement_of_nothing_is_passed_over() {
    let (hub, _events) = hub();
    let mut client = subscribed(&hub, QoS::AtLeastOnce);
    client.acknowledge(77);
    nothing_comes(&mut client);
}

#[test]
fn fifty_messages_wait_and_the_51st_is_refused() {
    let (hub, events) = hub();
    for i in 0..50 {
        hub.send_c2d("d", CloudMessage::new(i.to_string())).unwrap();
    }
    let refused = hub.send_c2d("d", CloudMessage::new("x")).unwrap_err();
    assert_eq!((refused.code, refused.name), (403_004, "DeviceMaximumQueueDepthExceeded"));
    hub.send_c2d("e", CloudMessage::new("another queue")).unwrap();
    let mut client = subscribed(&hub, QoS::AtLeastOnce);
    for i in 0..50 {
        let publish = client.expect_publish();
        assert_eq!(publish.payload, i.to_string());
        client.acknowledge(publish.pkid);
    }
    for _ in 0..50 {
        events.find("c2d", |e| e["state"] == "completed");
    }
    hub.send_c2d("d", CloudMessage::new("room again")).unwrap();
}

#[test]
fn an_expired_message_is_not_delivered() {
    let (hub, events) = hub();
    let mut old = CloudMessage::new("old").with_id("old");
    old.expiry = Some("2020-01-01T00:00:00Z".parse().unwrap());
    hub.send_c2d("d", old).unwrap();
    hub.send_c2d("d", CloudMessage::new("new")).unwrap();
    let mut client = subscribed(&hub, QoS::AtLeastOnce);
    assert_eq!(&client.expect_publish().payload[..], b"new");
    assert_eq!(events.find("c2d", |e| e["state"] == "expired")["message_id"], "old");
}

#[test]
fn modules_have_no_messages_from_the_cloud() {
    let (hub, _events) = hub();
    assert_eq!(hub.send_c2d("d/m", CloudMessage::new("x")).unwrap_err().status, 404);
    let mut module = Client::connect(&hub, "d/m");
    module.send_subscribe(1, &[(DEVICEBOUND, QoS::AtLeastOnce)]);
    module.expect_close();
    // The SDK for Java subscribes to one of its own at every connect; nothing ever comes on it.
    let mut module = Client::connect(&hub, "d/m");
    module.subscribe("devices/d/modules/m/messages/devicebound/#", QoS::AtLeastOnce);
    hub.send_c2d("d", CloudMessage::new("x")).unwrap();
    nothing_comes(&mut module);
}

#[test]
fn at_qos_0_a_message_is_done_or_comes_again() {
    let lock = Duration::from_millis(50);
    let (hub, events) = with(Settings { c2d_lock: lock, ..Settings::default() });
    let mut client = subscribed(&hub, QoS::AtMostOnce);
    hub.send_c2d("d", CloudMessage::new("once").with_id("1")).unwrap();
    assert_eq!(client.expect_publish().qos, QoS::AtMostOnce);
    assert_eq!(events.find("c2d", |e| e["state"] == "completed")["delivery_count"], 1);
    hub.send_c2d("d", CloudMessage::new("next")).unwrap();
    assert_eq!(&client.expect_publish().payload[..], b"next");

    let settings = Settings { c2d_lock: lock, c2d_at_qos_0: C2dAtQos0::Repeat, ..Settings::default() };
    let (hub, events) = with(settings);
    let mut client = subscribed(&hub, QoS::AtMostOnce);
    hub.send_c2d("d", CloudMessage::new("again")).unwrap();
    for _ in 0..3 {
        let publish = client.expect_publish();
        assert_eq!((publish.qos, &publish.payload[..]), (QoS::AtMostOnce, &b"again"[..]));
    }
    assert_eq!(events.find("c2d", |e| e["delivery_count"] == 3)["state"], "delivered");
}

#[test]
fn so_many_are_on_their_way_as_the_setting_says() {
    let (hub, _events) = with(Settings { c2d_in_flight: 2, ..Settings::default() });
    let mut client = subscribed(&hub, QoS::AtLeastOnce);
    for i in 0..4 {
        hub.send_c2d("d", CloudMessage::new(i.to_string())).unwrap();
    }
    let first = client.expect_publish();
    client.expect_publish();
    nothing_comes(&mut client);
    client.acknowledge(first.pkid);
    assert_eq!(&client.expect_publish().payload[..], b"2");
    nothing_comes(&mut client);
}

#[test]
fn the_end_of_the_bag_and_a_missing_id_are_settings() {
    let (hub, _events) = hub();
    let mut client = subscribed(&hub, QoS::AtMostOnce);
    let id = hub.send_c2d("d", CloudMessage::new("x")).unwrap();
    assert!(!id.is_empty());
    assert!(client.expect_publish().topic.contains(&format!("/%24.mid={id}&")));

    let settings = Settings {
        c2d_bag_end: C2dBagEnd::Slash,
        c2d_message_id: C2dMessageId::Absent,
        ..Settings::default()
    };
    let (hub, events) = with(settings);
    let mut client = subscribed(&hub, QoS::AtMostOnce);
    assert_eq!(hub.send_c2d("d", CloudMessage::new("x").with_property("a", Some("b"))).unwrap(), "");
    let to = "%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound";
    let topic = client.expect_publish().topic;
    assert_eq!(topic, format!("devices/d/messages/devicebound/{to}&iothub-ack=none&a=b/"));
    assert_eq!(events.next("c2d")["message_id"], json!(null));
    hub.send_c2d("d", CloudMessage::new("x").with_id("1")).unwrap();
    assert!(client.expect_publish().topic.ends_with(&format!("/%24.mid=1&{to}&iothub-ack=none/")));
}

#[test]
fn what_a_back_end_may_not_send_is_refused() {
    let (hub, _events) = hub();
    let mut strange_ack = CloudMessage::new("x");
    strange_ack.ack = Some("maybe".into());
    for message in [
        CloudMessage::new("x").with_id("a b"),
        CloudMessage::new("x").with_id(&"x".repeat(129)),
        CloudMessage::new("x").with_property("", None),
        strange_ack,
    ] {
        assert_eq!(hub.send_c2d("d", message).unwrap_err().status, 400);
    }
    hub.send_c2d("d", CloudMessage::new("x").with_id(&"x".repeat(128))).unwrap();
    hub.send_c2d("d", CloudMessage::new("x").with_property("a b", None)).unwrap();
    assert_eq!(hub.send_c2d("d", CloudMessage::new(vec![0; 65_537])).unwrap_err().code, 413_001);
    hub.send_c2d("d", CloudMessage::new(vec![0; 65_536])).unwrap();

    let (hub, _events) = with(Settings {
        message_id: WrongMessageId::Accepted,
        c2d_property_names: PropertyNames::Documented,
        ..Settings::default()
    });
    hub.send_c2d("d", CloudMessage::new("x").with_id("a b")).unwrap();
    hub.send_c2d("d", CloudMessage::new("x").with_property("aZ9!#$%&'*+-.^_`|~", None)).unwrap();
    for name in ["a b", "größe", "a/b", "a=b", "a:b", "(a)"] {
        let refused = hub.send_c2d("d", CloudMessage::new("x").with_property(name, None)).unwrap_err();
        assert_eq!(refused.status, 400, "{name}");
    }
}
