//! Sessions and their subscriptions: what is kept, what comes back, what is too much.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use iothub_emulator::settings::{MethodFilters, StoredFilters, UnknownFilter};
use iothub_emulator::{CloudMessage, Hub, Options, Settings};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, SubAck, SubscribeReasonCode, UnsubAck, Unsubscribe};
use serde_json::json;
use support::*;

const DEVICEBOUND: &str = "devices/d/messages/devicebound/#";
const RESPONSES: &str = "$iothub/twin/res/#";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
const METHODS: &str = "$iothub/methods/POST/#";

fn with(settings: Settings) -> (Hub, Events) {
    start(Options { settings, ..Options::default().device("d").module("d", "m") })
}

fn unsubscribe(client: &mut Client, id: u16, filters: &[&str]) {
    let topics = filters.iter().map(|filter| (*filter).to_owned()).collect();
    client.send(&Packet::Unsubscribe(Unsubscribe { pkid: id, topics }));
    assert_eq!(client.receive(), Some(Packet::UnsubAck(UnsubAck::new(id))));
}

fn ping(client: &mut Client) {
    client.send(&Packet::PingReq);
    assert_eq!(client.receive(), Some(Packet::PingResp), "nothing else");
}

#[test]
fn subscriptions_to_twins_and_methods_come_back_or_not() {
    for (stored_filters, kept) in [(StoredFilters::All, true), (StoredFilters::Queued, false)] {
        let (hub, events) = with(Settings { stored_filters, ..Settings::default() });
        let mut client = Client::connect(&hub, "d");
        for filter in [DEVICEBOUND, RESPONSES, DESIRED, METHODS] {
            client.subscribe(filter, QoS::AtMostOnce);
        }
        client.disconnect();
        events.next("disconnected");
        let (mut client, session_present) = Client::connect_with(&hub, "d", |_| ());
        assert!(session_present);
        hub.update_desired("d", &json!({"a": 1})).unwrap();
        if kept {
            assert!(client.expect_publish().topic.starts_with("$iothub/twin/PATCH/"));
        }
        client.publish("$iothub/twin/GET/?$rid=1", 0, "");
        if kept {
            assert_eq!(client.expect_publish().topic, "$iothub/twin/res/200/?$rid=1");
        }
        let called = hub.call_method("d", "m", None, Duration::ZERO, Duration::from_millis(1));
        assert_eq!(called.unwrap_err().code, if kept { 504_101 } else { 404_103 });
        if kept {
            assert!(client.expect_publish().topic.starts_with("$iothub/methods/POST/m/"));
        }
        hub.send_c2d("d", CloudMessage::new("always")).unwrap();
        assert_eq!(&client.expect_publish().payload[..], b"always");
    }
}

#[test]
fn after_a_clean_session_there_are_no_subscriptions() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(METHODS, QoS::AtMostOnce);
    client.disconnect();
    events.next("disconnected");
    let (_client, session_present) = Client::connect_with(&hub, "d", |connect| connect.clean_session = true);
    assert!(!session_present);
    let called = hub.call_method("d", "m", None, Duration::ZERO, Duration::from_millis(1));
    assert_eq!(called.unwrap_err().code, 404_103);
}

#[test]
fn a_device_and_its_module_have_sessions_of_their_own() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(METHODS, QoS::AtMostOnce);
    client.disconnect();
    events.next("disconnected");
    let (_module, session_present) = Client::connect_with(&hub, "d/m", |_| ());
    assert!(!session_present);
    let called = hub.call_method("d/m", "m", None, Duration::ZERO, Duration::from_millis(1));
    assert_eq!(called.unwrap_err().code, 404_103);
}

#[test]
fn unsubscribing_makes_room_for_another_filter() {
    let (hub, events) = with(Settings { filter_limit: 2, ..Settings::default() });
    let mut client = Client::connect(&hub, "d");
    client.subscribe(DEVICEBOUND, QoS::AtLeastOnce);
    client.subscribe(RESPONSES, QoS::AtLeastOnce);
    client.subscribe(RESPONSES, QoS::AtMostOnce);
    unsubscribe(&mut client, 7, &[DEVICEBOUND, "never/subscribed"]);
    assert_eq!(events.next("unsubscribed")["filters"], json!([DEVICEBOUND, "never/subscribed"]));
    client.subscribe(METHODS, QoS::AtLeastOnce);
    client.send_subscribe(9, &[(DESIRED, QoS::AtLeastOnce)]);
    client.expect_close();
    assert!(events.next("disconnected")["reason"].as_str().unwrap().contains("2 allowed"));
}

#[test]
fn a_later_subscription_changes_the_qos() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    for qos in [QoS::AtLeastOnce, QoS::AtMostOnce, QoS::AtLeastOnce] {
        client.subscribe(RESPONSES, qos);
        client.publish("$iothub/twin/GET/?$rid=1", 0, "");
        let answer = client.expect_publish();
        assert_eq!(answer.qos, qos);
        if answer.pkid != 0 {
            client.acknowledge(answer.pkid);
        }
    }
}

#[test]
fn unknown_filters_close_or_are_refused_or_ignored() {
    let filters = [(RESPONSES, QoS::AtLeastOnce), ("foo/#", QoS::AtMostOnce), (DESIRED, QoS::ExactlyOnce)];
    let success = SubscribeReasonCode::Success;
    for (unknown_filter, expected, rule) in [
        (UnknownFilter::Close, None, ""),
        (UnknownFilter::Refuse, Some(SubscribeReasonCode::Failure), "unknown-filter=refuse"),
        (UnknownFilter::Ignore, Some(success(QoS::AtMostOnce)), "unknown-filter=ignore"),
    ] {
        let (hub, events) = with(Settings { unknown_filter, ..Settings::default() });
        let mut client = Client::connect(&hub, "d");
        client.send_subscribe(3, &filters);
        let Some(middle) = expected else {
            client.expect_close();
            continue;
        };
        let codes = vec![success(QoS::AtLeastOnce), middle, success(QoS::AtLeastOnce)];
        assert_eq!(client.receive(), Some(Packet::SubAck(SubAck::new(3, codes))));
        client.publish("$iothub/twin/GET/?$rid=1", 0, "");
        assert_eq!(client.expect_publish().topic, "$iothub/twin/res/200/?$rid=1", "the others hold");
        let ignored = events.next("ignored");
        assert_eq!((&ignored["device"], &ignored["what"]), (&json!("d"), &json!("filter")));
        assert_eq!((&ignored["topic"], &ignored["rule"]), (&json!("foo/#"), &json!(rule)));
    }
}

#[test]
fn a_filter_of_one_method_gets_that_method_or_every_one() {
    for (method_filters, any) in [(MethodFilters::ByName, false), (MethodFilters::Any, true)] {
        let (hub, _events) = with(Settings { method_filters, ..Settings::default() });
        let mut client = Client::connect(&hub, "d");
        client.subscribe("$iothub/methods/POST/reboot/#", QoS::AtMostOnce);
        let call = |name: &str| {
            hub.call_method("d", name, None, Duration::ZERO, Duration::from_millis(1)).unwrap_err().code
        };
        assert_eq!(call("reboot"), 504_101);
        assert!(client.expect_publish().topic.starts_with("$iothub/methods/POST/reboot/?$rid="));
        for other in ["reboots", "reboo", "other"] {
            assert_eq!(call(other), if any { 504_101 } else { 404_103 }, "{other}");
            if any {
                assert!(client.expect_publish().topic.contains(other));
            }
        }
        ping(&mut client);
    }
}

#[test]
fn the_ceiling_of_silence_holds_with_and_without_keep_alive() {
    let settings = Settings { keep_alive_ceiling: Duration::from_millis(300), ..Settings::default() };
    let (hub, events) = with(settings);
    for keep_alive in [0, 600] {
        let (mut client, _) = Client::connect_with(&hub, "d", |connect| connect.keep_alive = keep_alive);
        client.expect_close();
        let end = events.next("disconnected");
        assert_eq!(end["code"], "keep_alive", "{keep_alive}");
        assert!(end["reason"].as_str().unwrap().starts_with("404104 "));
    }
}
