//! The rules of twins as a device meets them: request ids, versions, limits, errors.

#![allow(clippy::unwrap_used)]

mod support;

use iothub_emulator::settings::{EmptyPatch, PatchAnswer, PatchVersion, SectionTooLarge, TwinSize};
use iothub_emulator::{Fault, Hub, Options, Settings};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use serde_json::{Value, json};
use support::*;

const RESPONSES: &str = "$iothub/twin/res/#";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
const REPORT: &str = "$iothub/twin/PATCH/properties/reported/";

fn with(settings: Settings) -> (Hub, Events) {
    start(Options { settings, ..Options::default().device("d").module("d", "m") })
}

fn subscribed(hub: &Hub) -> Client {
    let mut client = Client::connect(hub, "d");
    client.subscribe(RESPONSES, QoS::AtMostOnce);
    client
}

/// The topic and the body of the answer to a request.
fn ask(client: &mut Client, topic: &str, body: &str) -> (String, Vec<u8>) {
    client.publish(topic, 0, body);
    let answer = client.expect_publish();
    (answer.topic, answer.payload.to_vec())
}

fn status(answer: &(String, Vec<u8>)) -> u16 {
    answer.0.strip_prefix("$iothub/twin/res/").unwrap().split('/').next().unwrap().parse().unwrap()
}

fn error(answer: &(String, Vec<u8>)) -> Value {
    serde_json::from_slice(&answer.1).unwrap()
}

#[test]
fn a_request_id_comes_back_as_it_was_sent() {
    let (hub, _events) = hub();
    let mut client = subscribed(&hub);
    for rid in [
        "1",
        "7f",
        "3226c2f7-3d30-425c-b83b-0c34335f8220",
        "a%20b%2Fc",
        "a=b",
        "A:z+_#?!(),@;'*.$",
        &"x".repeat(128),
    ] {
        let (topic, _) = ask(&mut client, &format!("$iothub/twin/GET/?$rid={rid}"), "");
        assert_eq!(topic, format!("$iothub/twin/res/200/?$rid={rid}"));
        let (topic, _) = ask(&mut client, &format!("{REPORT}?$rid={rid}"), "{}");
        assert!(topic.starts_with(&format!("$iothub/twin/res/204/?$rid={rid}&$version=")), "{topic}");
    }
}

#[test]
fn parameters_come_in_any_order_and_the_slash_may_be_missing() {
    let (hub, _events) = hub();
    let mut client = subscribed(&hub);
    for topic in [
        "$iothub/twin/GET/?$rid=1",
        "$iothub/twin/GET?$rid=1",
        "$iothub/twin/GET/?$version=9&$rid=1",
        "$iothub/twin/GET/?$rid=1&",
        "$iothub/twin/GET/?$rid=1&$rid=2",
        "$iothub/twin/GET/?more&$rid=1&a=b",
    ] {
        assert_eq!(ask(&mut client, topic, "").0, "$iothub/twin/res/200/?$rid=1", "{topic}");
    }
    let (topic, _) = ask(&mut client, "$iothub/twin/PATCH/properties/reported?$version=1&$rid=8", "{}");
    assert_eq!(topic, "$iothub/twin/res/204/?$rid=8&$version=2");
}

#[test]
fn the_body_of_a_get_does_not_matter() {
    let (hub, _events) = hub();
    let mut client = subscribed(&hub);
    for body in ["", " ", "{}", "no JSON"] {
        assert_eq!(status(&ask(&mut client, "$iothub/twin/GET/?$rid=1", body)), 200, "{body}");
    }
}

#[test]
fn a_get_without_a_request_id_closes() {
    let (hub, events) = hub();
    for topic in
        ["$iothub/twin/GET/", "$iothub/twin/GET", "$iothub/twin/GET/?$rid=", "$iothub/twin/GET/?rid=1"]
    {
        let mut client = subscribed(&hub);
        client.publish(topic, 0, "");
        client.expect_close();
        assert!(events.next("disconnected")["reason"].as_str().unwrap().contains("$rid"), "{topic}");
    }
}

#[test]
fn a_device_sees_its_properties_and_versions_and_no_more() {
    let (hub, _events) = hub();
    hub.update_desired("d", &json!({"a": {"b": 1}})).unwrap();
    let mut client = subscribed(&hub);
    ask(&mut client, &format!("{REPORT}?$rid=1"), r#"{"x":1}"#);
    let answer = ask(&mut client, "$iothub/twin/GET/?$rid=1", "");
    let expected = json!({"desired": {"a": {"b": 1}, "$version": 2}, "reported": {"x": 1, "$version": 2}});
    assert_eq!(error(&answer), expected, "no tags and no metadata");
}

#[test]
fn every_broken_limit_is_answered_with_400_and_changes_nothing() {
    let (hub, events) = hub();
    let mut client = subscribed(&hub);
    let deep = (0..11).fold(json!({}), |inner, _| json!({ "l": inner }));
    for (patch, part) in [
        ("".to_owned(), "not JSON"),
        ("{\"a\":1".to_owned(), "not JSON"),
        ("{\"a\":\"\u{1}\"}".to_owned(), "not JSON"),
        ("[{\"a\":1}]".to_owned(), "object"),
        ("null".to_owned(), "object"),
        ("7".to_owned(), "object"),
        (deep.to_string(), "Nested depth"),
        ("[".repeat(300), "not JSON"),
        (json!({"a": "v".repeat(4097)}).to_string(), "4096"),
        (json!({"k".repeat(1025): 1}).to_string(), "1024"),
        (json!({"a": 4_503_599_627_370_496_i64}).to_string(), "out of bound"),
        (json!({"a": -4_503_599_627_370_497_i64}).to_string(), "out of bound"),
        (json!({"a": [1, null]}).to_string(), "Arrays cannot contain 'null'"),
        (json!({"a": [{"b": null}]}).to_string(), "in an array cannot be 'null'"),
        (json!({"a.b": 1}).to_string(), "invalid character"),
        (json!({"$version": 1}).to_string(), "invalid character"),
        (json!({"a b": 1}).to_string(), "invalid character"),
        (json!({"a#": 1}).to_string(), "invalid character"),
        (json!({"a": {"b\u{9f}": 1}}).to_string(), "invalid character"),
    ] {
        let answer = ask(&mut client, &format!("{REPORT}?$rid=9"), &patch);
        assert_eq!(answer.0, "$iothub/twin/res/400/?$rid=9", "{patch}");
        let body = error(&answer);
        assert_eq!(body["errorCode"], 400_004);
        assert!(body["message"].as_str().unwrap().contains(part), "{body}");
        assert!(!body["trackingId"].as_str().unwrap().is_empty());
        assert!(body["timestampUtc"].as_str().unwrap().ends_with('Z'));
        let event = events.next("twin");
        assert_eq!(event["status"], 400);
        assert!(event["reason"].as_str().unwrap().starts_with("400004 "), "{event}");
    }
    assert_eq!(hub.twin("d").unwrap()["properties"]["reported"]["$version"], 1);
}

#[test]
fn a_section_that_would_grow_too_large_is_answered_with_413_or_400() {
    for (settings, number) in [
        (Settings::default(), 413),
        (Settings { twin_too_large: SectionTooLarge::BadRequest, ..Settings::default() }, 400),
    ] {
        let (hub, _events) = with(settings);
        let mut client = subscribed(&hub);
        let report = |client: &mut Client, name: &str, length: usize| {
            let patch = json!({ name: "v".repeat(length) }).to_string();
            ask(client, &format!("{REPORT}?$rid=1"), &patch)
        };
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            assert_eq!(status(&report(&mut client, name, 4095)), 204);
        }
        let refused = report(&mut client, "h", 4096);
        assert_eq!(status(&refused), number);
        assert_eq!(error(&refused)["errorCode"].as_u64().unwrap() / 1000, u64::from(number));
        assert_eq!(error(&refused)["message"], "Twin properties size 32769 exceeds maximum 32768");
        assert_eq!(status(&report(&mut client, "h", 4095)), 204, "32768 to the byte");
        assert_eq!(status(&ask(&mut client, &format!("{REPORT}?$rid=1"), r#"{"a":null}"#)), 204);
    }
    let (hub, _events) = with(Settings { twin_size: TwinSize::Json, ..Settings::default() });
    let mut client = subscribed(&hub);
    let text = |length: usize| {
        let name = |i: usize| char::from(b'a' + i as u8).to_string();
        let pairs = (0..8).map(|i| (name(i), Value::from("v".repeat(if i == 7 { length } else { 4095 }))));
        Value::Object(pairs.collect()).to_string()
    };
    let topic = format!("{REPORT}?$rid=1");
    assert_eq!(status(&ask(&mut client, &topic, &text(4047))), 413);
    assert_eq!(text(4046).len(), 32_768);
    assert_eq!(status(&ask(&mut client, &topic, &text(4046))), 204);
}

#[test]
fn the_version_in_an_answer_and_of_an_empty_report_are_settings() {
    let (hub, _events) = hub();
    let mut client = subscribed(&hub);
    let topic = format!("{REPORT}?$rid=1");
    assert_eq!(
        ask(&mut client, &topic, "{}"),
        ("$iothub/twin/res/204/?$rid=1&$version=2".into(), Vec::new())
    );

    let (hub, _events) = with(Settings {
        patch_answer_version: PatchAnswer::Never,
        twin_empty_patch: EmptyPatch::Keeps,
        ..Settings::default()
    });
    let mut client = subscribed(&hub);
    assert_eq!(ask(&mut client, &topic, "{}"), ("$iothub/twin/res/204/?$rid=1".into(), Vec::new()));
    assert_eq!(hub.twin("d").unwrap()["properties"]["reported"]["$version"], 1);
    ask(&mut client, &topic, r#"{"a":1}"#);
    assert_eq!(hub.twin("d").unwrap()["properties"]["reported"]["$version"], 2);
}

#[test]
fn the_version_of_a_report_is_ignored_or_compared() {
    for (twin_patch_version, strict) in [(PatchVersion::Ignored, false), (PatchVersion::Compared, true)] {
        let (hub, _events) = with(Settings { twin_patch_version, ..Settings::default() });
        let mut client = subscribed(&hub);
        for (version, matches) in [("1", true), ("1", false), ("2", true), ("x", false), ("", false)] {
            let answer = ask(&mut client, &format!("{REPORT}?$rid=1&$version={version}"), r#"{"a":1}"#);
            let good = matches || !strict;
            assert_eq!(status(&answer), if good { 204 } else { 412 }, "{version}");
            if !good {
                assert_eq!(error(&answer)["errorCode"], 412_001);
            }
        }
        assert_eq!(status(&ask(&mut client, &format!("{REPORT}?$rid=1"), "{}")), 204, "without it is fine");
    }
}

#[test]
fn an_answer_goes_only_to_a_subscriber_and_at_its_qos() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.publish(&format!("{REPORT}?$rid=1"), 3, r#"{"a":1}"#);
    client.expect_puback(3);
    assert_eq!(events.next("twin")["patch"], json!({"a": 1}), "applied all the same");
    client.subscribe(RESPONSES, QoS::AtLeastOnce);
    client.publish("$iothub/twin/GET/?$rid=2", 4, "");
    let answer = client.expect_publish();
    assert_eq!((answer.qos, answer.dup), (QoS::AtLeastOnce, false));
    client.expect_puback(4);
}

#[test]
fn desired_properties_are_told_while_connected_and_never_stored() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(DESIRED, QoS::AtLeastOnce);
    client.disconnect();
    events.next("disconnected");
    hub.update_desired("d", &json!({"a": 1})).unwrap();
    let (mut client, session_present) = Client::connect_with(&hub, "d", |_| ());
    assert!(session_present);
    client.send(&Packet::PingReq);
    assert_eq!(client.receive(), Some(Packet::PingResp), "what was missed is not sent");
    hub.update_desired("d", &json!({"a": null, "b": {"c": [1, {"d": 2}]}})).unwrap();
    let told = client.expect_publish();
    assert_eq!(told.topic, "$iothub/twin/PATCH/properties/desired/?$version=3");
    let body: Value = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(body, json!({"a": null, "b": {"c": [1, {"d": 2}]}, "$version": 3}));
}

#[test]
fn other_statuses_come_on_demand() {
    let (hub, events) = hub();
    let mut client = subscribed(&hub);
    for (fault, code, number) in
        [("throttle", None, 429), ("server_error", None, 500), ("server_error", Some(503), 503)]
    {
        let mut armed = Fault::new(fault, "d").count(1);
        armed.code = code;
        hub.fault(&armed).unwrap();
        let answer = ask(&mut client, "$iothub/twin/GET/?$rid=1", "");
        assert_eq!(status(&answer), number);
        assert_eq!(error(&answer)["errorCode"].as_u64().unwrap() / 1000, u64::from(number));
        let event = events.next("twin");
        assert!(event["reason"].as_str().unwrap().starts_with(&number.to_string()), "{event}");
        assert_eq!(status(&ask(&mut client, "$iothub/twin/GET/?$rid=1", "")), 200, "the link stays");
    }
}
