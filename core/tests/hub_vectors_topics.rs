//! Test vectors collected from Microsoft's SDKs and documentation: topics and messages.
#![allow(clippy::unwrap_used, clippy::panic)]

mod vectors;

use std::collections::BTreeMap;

use bytes::Bytes;
use iothub_mqtt::hub::topic::{self, Incoming, TwinResponse, parse_incoming};
use iothub_mqtt::hub::{Identity, Message, Policy, SystemProperty, percent, property_bag};
use serde_json::Value;
use vectors::{area, optional, style, text};

const HOST: &str = "h.example";
const SECURITY: &str = "urn:azureiot:Security:SecurityAgent:1";

/// The identity whose ids stand in a topic `devices/{d}/...` or `devices/{d}/modules/{m}/...`.
fn owner(topic: &str) -> Identity {
    let mut segments = topic.split('/').skip(1);
    let device = segments.next().unwrap();
    let module = (segments.next() == Some("modules")).then(|| segments.next().unwrap());
    Identity::new(HOST, device, module).unwrap()
}

fn system_name(name: &str) -> SystemProperty {
    match name {
        "message_id" => SystemProperty::MessageId,
        "correlation_id" => SystemProperty::CorrelationId,
        "user_id" => SystemProperty::UserId,
        "output" => SystemProperty::OutputName,
        "content_encoding" => SystemProperty::ContentEncoding,
        "content_type" => SystemProperty::ContentType,
        "expiry" => SystemProperty::Expiry,
        "security_message" => SystemProperty::InterfaceId,
        "to" => SystemProperty::To,
        "ack" => SystemProperty::Ack,
        _ => SystemProperty::from_key(name).unwrap_or_else(|| panic!("{name}")),
    }
}

fn custom(message: &Message) -> BTreeMap<String, Value> {
    message.properties().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn custom_expected(expected: &Value) -> BTreeMap<String, Value> {
    let fields = expected["custom"].as_object().cloned().unwrap_or_default();
    fields.into_iter().collect()
}

#[test]
fn telemetry_topics() {
    for (input, expected) in area("d2c.topic") {
        let id = Identity::new(HOST, text(&input, "device_id"), None).unwrap();
        let topic = Message::new("").telemetry_topic(&id).unwrap();
        assert_eq!(topic, expected.as_str().unwrap());
    }
}

#[test]
fn property_bags() {
    for (input, expected) in area("d2c.property_bag") {
        let expected = expected.as_str().unwrap();
        let mut message = Message::new("");
        for (name, value) in input["system"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or(SECURITY);
            message.set_system(system_name(name), value).unwrap();
        }
        if input["security_message"] == true {
            let property = SystemProperty::InterfaceId;
            message.set_system(property, SECURITY).unwrap();
        }
        for (name, value) in input["custom"].as_object().into_iter().flatten() {
            message.set_property(name, value.as_str()).unwrap();
        }
        let mut node_subject = false;
        for pair in input["custom_in_order"].as_array().into_iter().flatten() {
            let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str());
            if name == "dt-subject" {
                // Node turns this name into the system property; ours refuses it and has the
                // property, which is written before the application's.
                assert!(message.set_property(name, value).is_err());
                let property = SystemProperty::Component;
                message.set_system(property, value.unwrap()).unwrap();
                node_subject = true;
            } else {
                message.set_property(name, value).unwrap();
            }
        }
        let device = optional(&input, "device_id").unwrap_or("d");
        let module = message.system(SystemProperty::OutputName).is_some().then_some("m");
        let id = Identity::new(HOST, device, module).unwrap();
        let topic = message.telemetry_topic(&id).unwrap();
        let bag = topic.strip_prefix(&topic::telemetry_prefix(&id)).unwrap();
        let theirs = expected.rsplit('/').next().unwrap();
        if node_subject {
            assert_ne!(bag, theirs);
            let sorted = |bag| {
                let mut pairs = property_bag::parse(bag).unwrap();
                pairs.sort();
                pairs
            };
            assert_eq!(sorted(bag), sorted(theirs));
        } else if style(&input) == "azure-iot-sdk-python" {
            // Python writes the interface after the encoding and before the expiry, as ours.
            assert_eq!(bag, theirs);
        } else {
            assert_eq!(topic, expected);
        }
    }
}

#[test]
fn telemetry_as_the_hub_reads_it() {
    for (input, expected) in area("d2c.parse") {
        let topic = input.as_str().unwrap();
        let id = owner(topic);
        let bag = topic.strip_prefix(&topic::telemetry_prefix(&id));
        if expected.get("error").is_some() {
            assert_eq!(bag, None);
            assert!(Policy::new(id).check_publish(topic, 1, 0).is_err());
            continue;
        }
        assert_eq!(id.device_id(), text(&expected, "device_id"));
        assert_eq!(id.module_id(), optional(&expected, "module_id"));
        let message = Message::from_bag(bag.unwrap(), "").unwrap();
        for (name, value) in expected["system"].as_object().unwrap() {
            assert_eq!(message.system(system_name(name)), value.as_str());
        }
        assert_eq!(custom(&message), custom_expected(&expected));
    }
}

#[test]
fn cloud_to_device_messages() {
    for (input, expected) in area("c2d.parse") {
        let topic = text(&input, "topic");
        let id = owner(topic);
        let message = Message::from_devicebound(topic, Bytes::new(), &id);
        if expected.get("error").is_some() {
            assert!(message.is_err());
            assert_eq!(parse_incoming(topic, &id), Incoming::Unknown);
            continue;
        }
        let message = message.unwrap();
        for (name, value) in expected.as_object().unwrap() {
            if name != "custom" {
                assert_eq!(message.system(system_name(name)), value.as_str(), "{name}");
            }
        }
        let mut expected = custom_expected(&expected);
        // Python files this one under the application's; it is the hub's.
        if let Some(sender) = expected.remove("$.cdid") {
            let property = SystemProperty::SenderDevice;
            assert_eq!(message.system(property), sender.as_str());
        }
        assert_eq!(custom(&message), expected);
    }
}

#[test]
fn filters() {
    for (input, expected) in area("c2d.filter") {
        let id = Identity::new(HOST, text(&input, "device_id"), None).unwrap();
        assert_eq!(topic::devicebound_filter(&id).as_deref(), expected.as_str());
        assert_eq!(topic::inputs_filter(&id), None);
    }
    for (input, expected) in area("input.filter") {
        let module = optional(&input, "module_id");
        let id = Identity::new(HOST, text(&input, "device_id"), module).unwrap();
        assert_eq!(topic::inputs_filter(&id).as_deref(), expected.as_str());
        assert_eq!(topic::devicebound_filter(&id), None);
    }
    for (input, expected) in area("hub.classify_filter") {
        let filter = input.as_str().unwrap();
        let module = (expected == "module_messages").then_some("module1");
        let policy = Policy::new(Identity::new(HOST, "device1", module).unwrap());
        assert_eq!(policy.check_filter(filter).is_ok(), expected != "unknown");
    }
}

#[test]
fn inputs() {
    for (input, expected) in area("input.parse") {
        let topic = text(&input, "topic");
        let Incoming::Input { name, bag } = parse_incoming(topic, &owner(topic)) else {
            panic!("{topic}");
        };
        assert_eq!(name, text(&expected, "input"));
        assert_eq!(property_bag::parse(bag).unwrap(), []);
    }
    for (input, expected) in area("input.name") {
        let topic = text(&input, "topic");
        let Incoming::Input { name, .. } = parse_incoming(topic, &owner(topic)) else {
            panic!("{topic}");
        };
        assert_eq!(name, expected.as_str().unwrap());
    }
    for (input, expected) in area("input.build") {
        // Edge writes the application's properties first; what matters is that both directions
        // of ours agree with what it wrote.
        let topic = expected.as_str().unwrap();
        let id = owner(topic);
        let message = Message::from_devicebound(topic, Bytes::new(), &id).unwrap();
        let pairs = |name: &str| input[name].as_array().unwrap().clone();
        assert_eq!(message.properties().len(), pairs("custom_in_order").len());
        for pair in pairs("custom_in_order") {
            let value = message.property(pair[0].as_str().unwrap());
            assert_eq!(value, Some(pair[1].as_str()));
        }
        let system = pairs("system_in_order").split_off(1);
        assert_eq!(message.system_properties().len(), system.len());
        let ours = message.system_properties().zip(&system);
        for ((property, value), pair) in ours {
            assert_eq!(property.key(), pair[0].as_str().unwrap());
            assert_eq!(value, pair[1].as_str().unwrap());
        }
        let mut bag = String::new();
        message.write_bag(&mut bag);
        assert_eq!(bag.len(), topic.rsplit('/').next().unwrap().len());
    }
}

#[test]
fn twins() {
    let id = Identity::new(HOST, "d", None).unwrap();
    for (input, expected) in area("twin.topic") {
        assert_eq!(text(&input, "op"), "get");
        let ours = topic::twin_get(text(&input, "rid"));
        assert_eq!(ours, expected.as_str().unwrap());
    }
    for (input, expected) in area("twin.parse") {
        let ours = parse_incoming(input.as_str().unwrap(), &id);
        if expected.get("error").is_some() || expected["kind"] == "desired" {
            // The embedded SDK hands on a version that is no number; ours takes numbers only.
            assert_eq!(ours, Incoming::Unknown);
            continue;
        }
        let status = u16::try_from(expected["status"].as_u64().unwrap()).unwrap();
        let rid = text(&expected, "rid");
        let version = expected["version"].as_u64();
        assert_eq!(ours, Incoming::TwinResponse(TwinResponse { status, rid, version, retry_after: None }));
    }
}

#[test]
fn methods() {
    let id = Identity::new(HOST, "d", None).unwrap();
    for (input, expected) in area("method.parse") {
        let Incoming::Method { name, rid } = parse_incoming(text(&input, "topic"), &id) else {
            panic!("{input}");
        };
        assert_eq!(name, text(&expected, "name"));
        // Ours keeps the request id verbatim for the answer; Python decodes and encodes it again.
        assert_eq!(percent::decode(rid).unwrap(), text(&expected, "rid"));
    }
    for (input, expected) in area("method.response_topic") {
        let expected = expected.as_str().unwrap();
        let Some(status) = input["status"].as_u64() else {
            // Python takes any text for the status; ours is a number by its type.
            let status = text(&input, "status");
            assert_eq!(status.parse::<u16>().ok(), None);
            assert!(Policy::new(id.clone()).check_publish(expected, 0, 0).is_err());
            continue;
        };
        let ours = topic::method_response(u16::try_from(status).unwrap(), text(&input, "rid"));
        assert_eq!(ours, expected);
    }
}

#[test]
fn requests_that_a_hub_reads_pass_the_policy() {
    let policy = Policy::new(Identity::new(HOST, "d", None).unwrap());
    for (input, expected) in area("hub.parse_request") {
        assert!(expected["operation"].is_string());
        policy.check_publish(input.as_str().unwrap(), 1, 0).unwrap();
    }
}
