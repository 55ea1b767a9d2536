//! Twins as a device sees them.

#![allow(clippy::unwrap_used)]

mod support;

use iothub_emulator::Fault;
use rumqttc::mqttbytes::QoS;
use serde_json::{Value, json};
use support::*;

const RESPONSES: &str = "$iothub/twin/res/#";
const REPORT: &str = "$iothub/twin/PATCH/properties/reported/?$rid=";

fn body(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap()
}

/// Sends a report and returns the answer's topic and body.
fn report(client: &mut Client, rid: &str, patch: &str) -> (String, Vec<u8>) {
    client.publish(&format!("{REPORT}{rid}"), 0, patch);
    let answer = client.expect_publish();
    (answer.topic, answer.payload.to_vec())
}

#[test]
fn a_twin_is_read_and_reported() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(RESPONSES, QoS::AtMostOnce);
    client.publish("$iothub/twin/GET/?$rid=r%201", 0, " ");
    let answer = client.expect_publish();
    assert_eq!(answer.topic, "$iothub/twin/res/200/?$rid=r%201");
    assert_eq!(answer.qos, QoS::AtMostOnce);
    assert_eq!(body(&answer.payload), json!({"desired": {"$version": 1}, "reported": {"$version": 1}}));

    let (topic, empty) = report(&mut client, "2", r#"{"a":{"b":1,"c":2}}"#);
    assert_eq!((topic.as_str(), empty.len()), ("$iothub/twin/res/204/?$rid=2&$version=2", 0));
    let event = events.next("twin");
    assert_eq!((&event["section"], &event["version"]), (&json!("reported"), &json!(2)));
    report(&mut client, "3", r#"{"a":{"b":null}}"#);
    assert_eq!(hub.twin("d").unwrap()["properties"]["reported"]["a"], json!({"c": 2}));
    assert_eq!(hub.twin("d").unwrap()["properties"]["reported"]["$version"], 3);
}

#[test]
fn refused_reports_say_why_and_change_nothing() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(RESPONSES, QoS::AtLeastOnce);
    for (patch, part) in
        [("{\"a.b\":1}", "invalid character '.'"), ("[1]", "object"), ("{", "JSON"), ("", "JSON")]
    {
        let (topic, answer) = report(&mut client, "x", patch);
        assert_eq!(topic, "$iothub/twin/res/400/?$rid=x");
        let answer = body(&answer);
        assert!(answer["message"].as_str().unwrap().contains(part), "{answer}");
        assert_eq!(answer["errorCode"].as_u64().unwrap() / 1000, 400);
        assert!(answer["trackingId"].is_string() && answer["timestampUtc"].is_string());
    }
    assert_eq!(hub.twin("d").unwrap()["properties"]["reported"]["$version"], 1);
}

#[test]
fn a_report_without_rid_is_applied_and_not_answered() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(RESPONSES, QoS::AtLeastOnce);
    client.publish("$iothub/twin/PATCH/properties/reported/", 5, "{\"a\":1}");
    client.expect_puback(5);
    assert_eq!(events.next("twin")["patch"], json!({"a": 1}));
}

#[test]
fn desired_changes_are_told_to_a_subscriber() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d/m");
    hub.update_desired("d/m", &json!({"missed": 1})).unwrap();
    client.subscribe("$iothub/twin/PATCH/properties/desired/#", QoS::AtMostOnce);
    let twin = hub.update_desired("d/m", &json!({"a": 1, "missed": null})).unwrap();
    assert_eq!(twin["properties"]["desired"]["a"], 1);
    let told = client.expect_publish();
    assert_eq!(told.topic, "$iothub/twin/PATCH/properties/desired/?$version=3");
    assert_eq!(body(&told.payload), json!({"a": 1, "missed": null, "$version": 3}));
    let event = events.find("twin", |e| e["version"] == 3);
    assert_eq!((&event["section"], &event["module"]), (&json!("desired"), &json!("m")));
    assert_eq!(hub.update_desired("nobody", &json!({})).unwrap_err().code, 404_001);
}

#[test]
fn throttling_on_demand_answers_429() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(RESPONSES, QoS::AtMostOnce);
    hub.fault(&Fault::new("throttle", "d").count(2)).unwrap();
    assert_eq!(report(&mut client, "1", "{}").0, "$iothub/twin/res/429/?$rid=1");
    client.publish("$iothub/twin/GET/?$rid=2", 0, "");
    assert_eq!(client.expect_publish().topic, "$iothub/twin/res/429/?$rid=2");
    assert_eq!(report(&mut client, "3", "{}").0, "$iothub/twin/res/204/?$rid=3&$version=2");
}

#[test]
fn the_version_stands_behind_the_properties() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(RESPONSES, QoS::AtMostOnce);
    client.subscribe("$iothub/twin/PATCH/properties/desired/#", QoS::AtMostOnce);
    hub.update_desired("d", &json!({"a\"b": {"c": 1}, "z": [1, "x"]})).unwrap();
    let told = r#"{"a\"b":{"c":1},"z":[1,"x"],"$version":2}"#;
    assert_eq!(&client.expect_publish().payload[..], told.as_bytes());
    client.publish("$iothub/twin/GET/?$rid=1", 0, "");
    let whole = format!(r#"{{"desired":{told},"reported":{{"$version":1}}}}"#);
    assert_eq!(&client.expect_publish().payload[..], whole.as_bytes());
}
