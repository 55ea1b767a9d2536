//! Telemetry: topics, bags, flags and sizes as they come over the wire.

#![allow(clippy::unwrap_used)]

mod support;

use iothub_emulator::settings::{QosProperty, RetainProperty, UnknownTopic};
use iothub_emulator::{Hub, Options, Settings};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use serde_json::{Value, json};
use support::*;

const EVENTS: &str = "devices/d/messages/events/";

fn with(settings: Settings) -> (Hub, Events) {
    start(Options { settings, ..Options::default().device("d").module("d", "m") })
}

/// What the hub records of a message with this topic and body.
fn recorded(client: &mut Client, events: &Events, topic: &str, body: &str) -> Value {
    client.publish(topic, 1, body);
    client.expect_puback(1);
    events.next("telemetry")
}

#[test]
fn every_form_of_the_topic_is_taken() {
    let (hub, events) = hub();
    for (id, base) in [("d", "devices/d/messages/events"), ("d/m", "devices/d/modules/m/messages/events")] {
        let mut client = Client::connect(&hub, id);
        for (rest, properties) in [
            ("", json!({})),
            ("/", json!({})),
            ("/k=v", json!({"k": "v"})),
            ("/k=v/", json!({"k": "v"})),
            ("/k=v/more=1", json!({"k": "v"})),
        ] {
            let event = recorded(&mut client, &events, &format!("{base}{rest}"), "x");
            assert_eq!(event["properties"], properties, "{rest}");
        }
    }
}

#[test]
fn a_bag_is_read_as_the_sdks_write_it() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    for (bag, system, properties) in [
        // The embedded SDK for C encodes nothing, the one for C only the dollar.
        ("$.ct=text/plain", json!({"content-type": "text"}), json!({})),
        (
            "%24.ct=application%2fjson&%24.ce=utf-8",
            json!({"content-type": "application/json", "content-encoding": "utf-8"}),
            json!({}),
        ),
        (
            "%24.sub=thermostat1&%24.ifid=urn%3Aazureiot%3ASecurity%3ASecurityAgent%3A1",
            json!({"dt-subject": "thermostat1", "iothub-interface-id": "urn:azureiot:Security:SecurityAgent:1"}),
            json!({}),
        ),
        (
            "%24.mid=m&%24.cid=c&%24.uid=u&%24.to=t&%24.exp=2026-01-02T00%3A00%3A00Z&%24.ctime=2026-01-01T00%3A00%3A00Z&%24.on=o&%24.schema=s",
            json!({"message-id": "m", "correlation-id": "c", "user-id": "u", "to": "t",
                "absolute-expiry-time": "2026-01-02T00:00:00Z", "iothub-creation-time-utc": "2026-01-01T00:00:00Z",
                "output-name": "o", "iothub-message-schema": "s"}),
            json!({}),
        ),
        (
            "iothub-creation-time-utc=2026-01-01T00%3A00%3A00Z",
            json!({}),
            json!({"iothub-creation-time-utc": "2026-01-01T00:00:00Z"}),
        ),
        (
            "a+b=1+1&c=1%2B1&d=%20&e=%2F&f=%3D%26",
            json!({}),
            json!({"a+b": "1+1", "c": "1+1", "d": " ", "e": "/", "f": "=&"}),
        ),
        ("gr%C3%B6%C3%9Fe=%F0%9F%9A%80&größe=9", json!({}), json!({"größe": "9"})),
        ("a=1&b=2&a=3", json!({}), json!({"a": "3", "b": "2"})),
        ("n&e=", json!({}), json!({"n": null, "e": ""})),
        ("a=%zz&b=100%", json!({}), json!({"a": "%zz", "b": "100%"})),
    ] {
        let event = recorded(&mut client, &events, &format!("{EVENTS}{bag}"), "x");
        assert_eq!(event["properties"], properties, "{bag}");
        for (name, value) in system.as_object().unwrap() {
            assert_eq!(event["system"][name], *value, "{bag}");
        }
    }
}

#[test]
fn what_the_hub_stamps_cannot_be_forged() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d/m");
    let bag = "iothub-connection-device-id=x&iothub-message-source=x&%24.iothub-connection-device-id=x&%24.cdid=x&%24.cmid=x";
    let topic = format!("devices/d/modules/m/messages/events/{bag}");
    let event = recorded(&mut client, &events, &topic, "x");
    for (name, value) in [
        ("iothub-connection-device-id", "d"),
        ("iothub-connection-module-id", "m"),
        ("iothub-message-source", "Telemetry"),
        ("iothub-connection-auth-method", r#"{"scope":"module","type":"sas","issuer":"iothub"}"#),
    ] {
        assert_eq!(event["system"][name], value);
    }
    for name in ["iothub-connection-auth-generation-id", "iothub-enqueuedtime"] {
        assert!(event["system"][name].is_string(), "{name}");
    }
}

#[test]
fn a_bad_bag_closes_the_connection() {
    let (hub, events) = hub();
    let long = format!("%24.mid={}", "x".repeat(129));
    for bag in ["a=b=c", "a=%ff", "%ff=1", "%24.mid=a%20b", long.as_str()] {
        let mut client = Client::connect(&hub, "d");
        client.publish(&format!("{EVENTS}{bag}"), 1, "x");
        client.expect_close();
        assert_eq!(events.next("disconnected")["code"], "protocol", "{bag}");
    }
}

#[test]
fn the_size_counts_bodies_and_properties_and_no_names_of_the_system() {
    let (hub, events) = hub();
    const MAX: usize = 262_144;
    for (bag, counted) in [("", 0), ("%24.mid=12345", 5), ("name=val", 7), ("a%20b", 3), ("e=", 1)] {
        for (more, good) in [(0, true), (1, false)] {
            let mut client = Client::connect(&hub, "d");
            client.publish(&format!("{EVENTS}{bag}"), 1, &"x".repeat(MAX - counted + more));
            if good {
                client.expect_puback(1);
                client.disconnect();
                assert_eq!(events.next("telemetry")["body"].as_str().unwrap().len(), MAX - counted);
                events.next("disconnected");
            } else {
                client.expect_close();
                let end = events.next("disconnected");
                assert!(end["reason"].as_str().unwrap().starts_with("413001 MessageTooLarge"), "{bag}");
            }
        }
    }
}

#[test]
fn retained_and_repeated_messages_are_marked_and_not_stored() {
    for (settings, properties) in [
        (Settings::default(), json!({"mqtt-retain": "true", "mqtt-dup": "true"})),
        (
            Settings { retain_property: RetainProperty::XOptRetain, ..Settings::default() },
            json!({"x-opt-retain": "true", "mqtt-dup": "true"}),
        ),
        (
            Settings { qos_property: QosProperty::Added, ..Settings::default() },
            json!({"mqtt-retain": "true", "mqtt-dup": "true", "mqtt-qos": "1"}),
        ),
    ] {
        let (hub, events) = with(settings);
        let mut client = Client::connect(&hub, "d");
        let mut packet = publish(EVENTS, 1, "x");
        (packet.retain, packet.dup) = (true, true);
        client.send(&Packet::Publish(packet));
        client.expect_puback(1);
        assert_eq!(events.next("telemetry")["properties"], properties);
        client.subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce);
        client.send(&Packet::PingReq);
        assert_eq!(client.receive(), Some(Packet::PingResp), "nothing is retained");
    }
}

#[test]
fn the_same_packet_id_twice_is_two_messages() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    for dup in [false, true] {
        let mut packet = publish(EVENTS, 1, "x");
        packet.dup = dup;
        client.send(&Packet::Publish(packet));
        client.expect_puback(1);
        let expected = if dup { json!({"mqtt-dup": "true"}) } else { json!({}) };
        assert_eq!(events.next("telemetry")["properties"], expected);
    }
}

#[test]
fn unknown_topics_close_or_are_dropped_or_recorded() {
    for unknown_topic in [UnknownTopic::Close, UnknownTopic::Drop, UnknownTopic::Accept] {
        let (hub, events) = with(Settings { unknown_topic, ..Settings::default() });
        for topic in
            ["telemetry/1", "devices/e/messages/events/", "$iothub/credentials/POST/issueCertificate/?$rid=1"]
        {
            let mut client = Client::connect(&hub, "d");
            client.publish(topic, 4, "x");
            if unknown_topic == UnknownTopic::Close {
                client.expect_close();
                assert!(events.next("disconnected")["reason"].as_str().unwrap().contains(topic));
                continue;
            }
            client.expect_puback(4);
            if unknown_topic == UnknownTopic::Drop {
                let ignored = events.next("ignored");
                let told = json!([ignored["device"], ignored["what"], ignored["topic"], ignored["rule"]]);
                assert_eq!(told, json!(["d", "publish", topic, "unknown-topic=drop"]));
            }
            if unknown_topic == UnknownTopic::Accept {
                let event = events.next("telemetry");
                assert_eq!(event["properties"], json!({"Unmatched": "True", "Subject": topic}));
                assert_eq!((&event["device"], &event["body"]), (&json!("d"), &json!("x")));
            }
            client.publish(EVENTS, 0, "after");
            assert_eq!(events.next("telemetry")["body"], "after", "nothing was recorded before");
        }
        // What is known and lacks something closes in every way.
        let mut client = Client::connect(&hub, "d");
        client.publish("$iothub/twin/GET/?$rid=", 0, "");
        client.expect_close();
    }
}

#[test]
fn a_published_topic_is_read_and_a_wrong_one_is_not() {
    let (hub, events) = start(Options::default().device("Device_6"));
    let all: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/vectors.json")).unwrap();
    let mut count = 0;
    for vector in all.iter().filter(|vector| vector["area"] == "d2c.parse") {
        let mut client = Client::connect(&hub, "Device_6");
        client.publish(vector["input"].as_str().unwrap(), 1, "x");
        if vector["expected"]["error"].is_string() {
            client.expect_close();
        } else {
            client.expect_puback(1);
            let event = events.next("telemetry");
            assert_eq!(event["properties"], vector["expected"]["custom"]);
            for (name, value) in vector["expected"]["system"].as_object().unwrap() {
                assert_eq!(event["system"][name.replace('_', "-")], *value);
            }
        }
        count += 1;
    }
    assert_eq!(count, 2);
}
