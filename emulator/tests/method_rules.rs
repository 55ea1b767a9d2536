//! The rules of direct methods: names, answers, filters, limits.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use iothub_emulator::{Hub, Options, Settings};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use serde_json::{Value, json};
use support::*;

const METHODS: &str = "$iothub/methods/POST/#";
const SHORT: Duration = Duration::from_millis(1);

fn code(hub: &Hub, name: &str) -> u32 {
    hub.call_method("d", name, None, Duration::ZERO, SHORT).unwrap_err().code
}

#[test]
fn a_name_is_printable_and_has_no_separator() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(METHODS, QoS::AtMostOnce);
    for good in ["reboot", "component*command", "a.b-c_d~!#%&'+^`|", "A1", &"x".repeat(100)] {
        assert_eq!(code(&hub, good), 504_101, "{good}");
        assert!(client.expect_publish().topic.starts_with(&format!("$iothub/methods/POST/{good}/?$rid=")));
    }
    for bad in "$()<>@,;:\\\"/[]?={} \t\u{7f}ä".chars() {
        assert_eq!(code(&hub, &format!("a{bad}")), 400_004, "{bad:?}");
    }
    assert_eq!(code(&hub, ""), 400_004);
    assert_eq!(code(&hub, &"x".repeat(101)), 400_004);
}

#[test]
fn a_request_goes_at_the_granted_qos() {
    let (hub, _events) = hub();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut client = Client::connect(&hub, "d");
        client.subscribe(METHODS, qos);
        assert_eq!(code(&hub, "m"), 504_101);
        let request = client.expect_publish();
        assert_eq!((request.qos, request.pkid == 0), (qos, qos == QoS::AtMostOnce));
    }
}

#[test]
fn any_status_and_an_empty_body_are_an_answer() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(METHODS, QoS::AtMostOnce);
    for (status, body, expected) in [
        (0, "", Value::Null),
        (200, "null", Value::Null),
        (404, "{}", json!({})),
        (501, "\"no\"", json!("no")),
        (65_535, "[1]", json!([1])),
    ] {
        std::thread::scope(|scope| {
            let caller = scope.spawn(|| hub.call_method("d", "m", None, Duration::ZERO, PATIENCE));
            let request = client.expect_publish();
            let (_, rid) = request.topic.split_once("$rid=").unwrap();
            // The parameters come in any order, and the slash before them may be missing.
            let topic = match status {
                404 => format!("$iothub/methods/res/{status}?more=1&$rid={rid}"),
                _ => format!("$iothub/methods/res/{status}/?$rid={rid}"),
            };
            client.publish(&topic, 0, body);
            assert_eq!(caller.join().unwrap(), Ok((status, expected)));
        });
    }
}

#[test]
fn an_answer_without_a_status_or_a_request_id_closes() {
    let (hub, events) = hub();
    for topic in [
        "$iothub/methods/res/ok/?$rid=1",
        "$iothub/methods/res/-1/?$rid=1",
        "$iothub/methods/res/65536/?$rid=1",
        "$iothub/methods/res//?$rid=1",
        "$iothub/methods/res/200/",
        "$iothub/methods/res/200/?$rid=",
        "$iothub/methods/res/invalid%2Fstatus/?$rid=1",
    ] {
        let mut client = Client::connect(&hub, "d");
        client.publish(topic, 0, "");
        client.expect_close();
        assert!(events.next("disconnected")["reason"].as_str().unwrap().contains(topic));
    }
}

#[test]
fn an_answer_to_nobody_is_dropped() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.publish("$iothub/methods/res/200/?$rid=unknown", 5, "{}");
    client.expect_puback(5);
    client.send(&Packet::PingReq);
    assert_eq!(client.receive(), Some(Packet::PingResp));
}

#[test]
fn too_many_calls_at_a_time_are_refused() {
    let settings = Settings { methods_in_flight: 2, ..Settings::default() };
    let (hub, _events) = start(Options { settings, ..Options::default().device("d").device("e") });
    let mut client = Client::connect(&hub, "d");
    client.subscribe(METHODS, QoS::AtMostOnce);
    let mut other = Client::connect(&hub, "e");
    other.subscribe(METHODS, QoS::AtMostOnce);
    std::thread::scope(|scope| {
        let call = || hub.call_method("d", "m", None, Duration::ZERO, PATIENCE);
        let callers = [scope.spawn(call), scope.spawn(call)];
        let requests = [client.expect_publish(), client.expect_publish()];
        let refused = call().unwrap_err();
        assert_eq!((refused.code, refused.name), (403_800, "DeviceMaximumInflightMethodExceeded"));
        let of_other = hub.call_method("e", "m", None, Duration::ZERO, SHORT);
        assert_eq!(of_other.unwrap_err().code, 504_101, "another device has its own number");
        for request in requests {
            let (_, rid) = request.topic.split_once("$rid=").unwrap();
            client.publish(&format!("$iothub/methods/res/200/?$rid={rid}"), 0, "");
        }
        for caller in callers {
            assert!(caller.join().unwrap().is_ok());
        }
    });
    assert_eq!(code(&hub, "m"), 504_101, "there is room again");
}

#[test]
fn a_device_that_is_not_there_is_not_online() {
    let (hub, events) = hub();
    assert_eq!(code(&hub, "m"), 404_103);
    let mut client = Client::connect(&hub, "d");
    client.subscribe("$iothub/twin/res/#", QoS::AtMostOnce);
    assert_eq!(code(&hub, "m"), 404_103, "connected and not subscribed");
    client.subscribe(METHODS, QoS::AtMostOnce);
    assert_eq!(code(&hub, "m"), 504_101);
    client.disconnect();
    events.next("disconnected");
    assert_eq!(code(&hub, "m"), 404_103, "a kept subscription is of no use without a connection");
}
