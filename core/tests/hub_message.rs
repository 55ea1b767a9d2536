//! Messages: setters, limits, and the way through a topic and back.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use iothub_mqtt::ErrorKind;
use iothub_mqtt::hub::message::{MAX_MESSAGE, MAX_TOPIC, Message};
use iothub_mqtt::hub::{Identity, SystemProperty, topic};
use proptest::prelude::*;

fn device() -> Identity {
    Identity::new("h.example", "MyDevice01", None).unwrap()
}

fn module() -> Identity {
    Identity::new("h.example", "d", Some("m")).unwrap()
}

#[test]
fn writes_system_properties_first_and_in_a_fixed_order() {
    let mut message = Message::new("body");
    message.set_property("b", Some("2 3")).unwrap();
    message.set_property("a", None).unwrap();
    message.set_property("e", Some("")).unwrap();
    message.set_system(SystemProperty::ContentType, "application/json").unwrap();
    message.set_system(SystemProperty::MessageId, "1").unwrap();
    assert_eq!(
        message.telemetry_topic(&device()).unwrap(),
        "devices/MyDevice01/messages/events/%24.mid=1&%24.ct=application%2Fjson&b=2%203&a&e="
    );
    message.set_system(SystemProperty::OutputName, "out").unwrap();
    assert!(
        message
            .telemetry_topic(&module())
            .unwrap()
            .starts_with("devices/d/modules/m/messages/events/%24.on=out&%24.mid=1&")
    );
}

#[test]
fn a_later_value_wins_in_its_place() {
    let mut message = Message::default();
    for (name, value) in [("a", Some("1")), ("b", Some("2")), ("a", None)] {
        message.set_property(name, value).unwrap();
    }
    let all: Vec<_> = message.properties().collect();
    assert_eq!(all, [("a", None), ("b", Some("2"))]);
    assert_eq!(message.property("a"), Some(None));
    assert_eq!(message.property("c"), None);

    let message = Message::from_bag("a=1&%24.mid=x&b&a=2&$.mid=y&%24.cid=z&%24.cid", "").unwrap();
    let all: Vec<_> = message.properties().collect();
    assert_eq!(all, [("a", Some("2")), ("b", None)]);
    assert_eq!(message.system(SystemProperty::MessageId), Some("y"));
    assert_eq!(message.system(SystemProperty::CorrelationId), None);
}

#[test]
fn setters_refuse_what_the_hub_would_not_take() {
    let mut message = Message::default();
    for (name, rule) in [
        ("", "must not be empty"),
        ("$.mid", "must not begin with '$'"),
        ("$x", "must not begin with '$'"),
        ("iothub-ack", "iothub-ack is reserved"),
        ("IoTHub-Enqueuedtime", "iothub-enqueuedtime is reserved"),
        ("dt-subject", "dt-subject is reserved"),
    ] {
        let error = message.set_property(name, Some("v")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.detail().contains(rule), "{error}");
    }
    let long = "i".repeat(129);
    for (property, value, rule) in [
        (SystemProperty::ContentType, "", "ContentType: must not be empty"),
        (SystemProperty::MessageId, long.as_str(), "MessageId: must have at most 128"),
        (SystemProperty::MessageId, "a b", "MessageId: must be of ASCII"),
        (SystemProperty::MessageId, "é", "MessageId: must be of ASCII"),
        (SystemProperty::Ack, "maybe", "Ack: must be none, positive"),
    ] {
        let error = message.set_system(property, value).unwrap_err();
        assert!(error.detail().contains(rule), "{error}");
    }
    assert_eq!(message, Message::default());
    // These two are the application's to set.
    message.set_property("iothub-creation-time-utc", Some("2026-01-01T00:00:00Z")).unwrap();
    message.set_property("iothub-MessageType", Some("x")).unwrap();
}

#[test]
fn what_only_the_hub_or_a_module_sends_is_refused() {
    for (property, value) in [
        (SystemProperty::Ack, "full"),
        (SystemProperty::Operation, "x"),
        (SystemProperty::SenderDevice, "x"),
        (SystemProperty::SenderModule, "x"),
        (SystemProperty::OutputName, "x"),
    ] {
        let mut message = Message::default();
        message.set_system(property, value).unwrap();
        let error = message.telemetry_topic(&device()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.detail().starts_with(&format!("{property:?}: ")), "{error}");
    }
}

#[test]
fn size_is_counted_as_the_hub_counts() {
    let mut message = Message::new(vec![0; 10]);
    assert_eq!(message.size(), 10);
    message.set_system(SystemProperty::MessageId, "abc").unwrap();
    assert_eq!(message.size(), 13, "the value alone");
    message.set_property("näme", Some("v v")).unwrap();
    assert_eq!(message.size(), 13 + 5 + 3, "bytes before encoding");
    message.set_property("null", None).unwrap();
    assert_eq!(message.size(), 13 + 5 + 3 + 4);

    let mut largest = Message::new(vec![0; MAX_MESSAGE - 2]);
    largest.set_property("a", Some("b")).unwrap();
    largest.telemetry_topic(&device()).unwrap();
    largest.set_property("a", Some("bc")).unwrap();
    let error = largest.telemetry_topic(&device()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.detail().contains("262145"), "{error}");
}

#[test]
fn the_topic_is_counted_after_encoding() {
    let prefix = topic::telemetry_prefix(&device()).len() + "a=".len();
    let mut message = Message::default();
    message.set_property("a", Some(&"v".repeat(MAX_TOPIC - prefix))).unwrap();
    assert_eq!(message.telemetry_topic(&device()).unwrap().len(), MAX_TOPIC);
    message.set_property("a", Some(&"v".repeat(MAX_TOPIC - prefix + 1))).unwrap();
    let error = message.telemetry_topic(&device()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    message.set_property("a", Some(&" ".repeat(MAX_TOPIC / 2))).unwrap();
    assert!(message.telemetry_topic(&device()).is_err());
}

#[test]
fn reads_what_the_hub_delivers() {
    let topic = "devices/MyDevice01/messages/devicebound/%24.mid=1a2b\
        &%24.to=%2Fdevices%2FMyDevice01%2Fmessages%2FdeviceBound&iothub-ack=full\
        &prop1&prop2=&prop3=a%20string&%24.new=x/";
    let body = Bytes::from_static(b"hello");
    let message = Message::from_devicebound(topic, body.clone(), &device()).unwrap();
    assert_eq!(message.body(), &body);
    assert_eq!(message.system(SystemProperty::MessageId), Some("1a2b"));
    assert_eq!(message.system(SystemProperty::Ack), Some("full"));
    assert_eq!(message.system(SystemProperty::To), Some("/devices/MyDevice01/messages/deviceBound"));
    let all: Vec<_> = message.properties().collect();
    assert_eq!(
        all,
        [("prop1", None), ("prop2", Some("")), ("prop3", Some("a string")), ("$.new", Some("x")),]
    );
    assert_eq!(message.into_body(), body);

    let input = "devices/d/modules/m/inputs/in/k=v&%24.cdid=other";
    let message = Message::from_devicebound(input, Bytes::new(), &module()).unwrap();
    assert_eq!(message.system(SystemProperty::SenderDevice), Some("other"));

    for (topic, id) in [
        (input, device()),
        ("devices/other/messages/devicebound/a=1", device()),
        ("$iothub/methods/POST/x/?$rid=1", device()),
        ("devices/MyDevice01/messages/devicebound/a=%FF", device()),
    ] {
        let error = Message::from_devicebound(topic, Bytes::new(), &id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{topic}");
    }
}

#[test]
fn debug_shows_no_body_and_no_values() {
    let mut message = Message::new("s3cret");
    message.set_system(SystemProperty::UserId, "s3cret").unwrap();
    message.set_property("name", Some("s3cret")).unwrap();
    assert_eq!(format!("{message:?}"), "Message { body_len: 6, system: [UserId], properties: 1 }");
}

#[test]
fn keys_of_system_properties_are_distinct_and_in_order() {
    for (i, property) in SystemProperty::ALL.into_iter().enumerate() {
        assert_eq!(SystemProperty::from_key(property.key()), Some(property));
        assert!(SystemProperty::ALL[..i].iter().all(|earlier| *earlier < property));
    }
    assert_eq!(SystemProperty::from_key("$.MID"), None);
}

proptest! {
    #[test]
    fn a_bag_reads_back(
        names in prop::collection::vec(("[^$].{0,10}", prop::option::of(".{0,10}")), 0..6),
        correlation in prop::option::of(".{1,20}"),
    ) {
        let mut message = Message::new("x");
        for (name, value) in &names {
            message.set_property(name, value.as_deref()).unwrap();
        }
        if let Some(correlation) = &correlation {
            message.set_system(SystemProperty::CorrelationId, correlation).unwrap();
        }
        let topic = message.telemetry_topic(&device()).unwrap();
        prop_assert!(topic.is_ascii() && !topic.contains(['+', '#', '\0']));
        let bag = topic.strip_prefix(&topic::telemetry_prefix(&device())).unwrap();
        prop_assert!(Message::from_bag(bag, "x").unwrap() == message);
    }
}

#[test]
fn a_received_message_is_passed_on_without_what_the_hub_wrote() {
    let module = Identity::new("h.example", "d", Some("m")).unwrap();
    let topic =
        "devices/d/modules/m/inputs/in/%24.cdid=d&%24.cmid=other&%24.to=%2Fx&iothub-ack=none&%24.mid=1&a=b";
    let mut message = Message::from_devicebound(topic, "body".into(), &module).unwrap();
    message.set_system(SystemProperty::OutputName, "out").unwrap();
    let expected = "devices/d/modules/m/messages/events/%24.on=out&%24.mid=1&a=b";
    assert_eq!(message.telemetry_topic(&module).unwrap(), expected);
    let mut made = Message::new("body");
    made.set_system(SystemProperty::Ack, "none").unwrap();
    assert_eq!(made.telemetry_topic(&module).unwrap_err().kind(), ErrorKind::Argument);
}
