#![allow(clippy::unwrap_used)]

use iothub_mqtt::hub::SystemProperty;
use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn the_topic_has_what_the_sdks_insist_on() {
    let mut message = CloudMessage::new("hello")
        .with_id("1a2b")
        .with_property("prop1", None)
        .with_property("prop2", Some(""))
        .with_property("prop3", Some("a string"));
    message.ack = Some("full".into());
    let topic = message.topic("MyDevice01", Some("1a2b"), C2dBagEnd::Plain);
    assert_eq!(
        topic,
        "devices/MyDevice01/messages/devicebound/%24.mid=1a2b\
         &%24.to=%2Fdevices%2FMyDevice01%2Fmessages%2FdeviceBound\
         &iothub-ack=full&prop1&prop2=&prop3=a%20string"
    );
    message.expiry = Some("3237-07-19T23:06:40Z".parse().unwrap());
    assert!(
        message.topic("d", Some("m"), C2dBagEnd::Plain).contains("%24.exp=3237-07-19T23%3A06%3A40.0000000Z&")
    );
    assert!(CloudMessage::new("").topic("d", Some("m"), C2dBagEnd::Plain).contains("iothub-ack=none"));
}

/// What senders write, and how it looks in the topic.
const VALUES: [(Option<&str>, &str); 14] = [
    (None, "k"),
    (Some(""), "k="),
    (Some("a b"), "k=a%20b"),
    (Some("1+1"), "k=1%2B1"),
    (Some("a/b/"), "k=a%2Fb%2F"),
    (Some("100%"), "k=100%25"),
    (Some("%2F"), "k=%252F"),
    (Some("a=b&c"), "k=a%3Db%26c"),
    (Some("#+$"), "k=%23%2B%24"),
    (Some("-_.~"), "k=-_.~"),
    (Some("Grüße"), "k=Gr%C3%BC%C3%9Fe"),
    (Some("\u{1f680}"), "k=%F0%9F%9A%80"),
    (Some(" "), "k=%20"),
    (Some("\u{0}\n"), "k=%00%0A"),
];

#[test]
fn values_are_encoded_for_every_parser() {
    for (value, expected) in VALUES {
        let message = CloudMessage::new("").with_id("1").with_property("k", value);
        let topic = message.topic("d", Some("1"), C2dBagEnd::Plain);
        let (_, bag) = topic.rsplit_once('/').unwrap();
        assert_eq!(bag.rsplit_once('&').unwrap().1, expected, "{value:?}");
    }
}

#[test]
fn a_bag_goes_out_as_it_is_given() {
    let mut message = CloudMessage::new("x").with_id("1").with_property("gone", None);
    for bag in ["%24.mid=1&k=a%2fb/", "", "$.mid=1&p+q=1+1"] {
        message = message.with_bag(bag);
        assert_eq!(
            message.topic("d", Some("1"), C2dBagEnd::Plain),
            format!("devices/d/messages/devicebound/{bag}")
        );
        let module = Identity::module("d", "m");
        assert_eq!(message.input_topic(&module, "in", "1"), format!("devices/d/modules/m/inputs/in/{bag}"));
    }
}

proptest! {
    #[test]
    fn what_is_sent_is_what_the_library_reads(
        properties in prop::collection::vec((r"[^$\x00]\PC{0,8}", prop::option::of(".{0,12}")), 0..6),
        id in "[A-Za-z0-9:.+%_#*?!(),=@;$'-]{1,20}",
        expiry in 0..253_402_300_799i64,
    ) {
        let mut message = CloudMessage::new("x").with_id(&id);
        message.expiry = Some(at(expiry));
        message.properties = properties.clone();
        let topic = message.topic("d", Some(&id), C2dBagEnd::Plain);
        let device = iothub_mqtt::hub::identity::Identity::new("h", "d", None).unwrap();
        let read = iothub_mqtt::hub::message::Message::from_devicebound(&topic, Bytes::new(), &device).unwrap();
        for (name, _) in &properties {
            // The later of two wins.
            let (_, value) = properties.iter().rfind(|(other, _)| other == name).unwrap();
            prop_assert_eq!(read.property(name), Some(value.as_deref()), "{}", topic);
        }
        let read_expiry = read.system(SystemProperty::Expiry).unwrap();
        prop_assert_eq!(read_expiry.len(), "3237-07-19T23:06:40.0000000Z".len());
        prop_assert_eq!(read.system(SystemProperty::MessageId), Some(id.as_str()));
    }
}

#[test]
fn the_queue_is_limited_in_number_and_size() {
    let queued = |body: usize, waiting| {
        CloudMessage::new(vec![0; body]).into_queued("d", waiting, at(0), &Settings::default())
    };
    assert_eq!(queued(1, 49).unwrap().expires, at(3600), "an hour by default");
    assert_eq!(queued(1, 50).unwrap_err().code, 403_004);
    assert!(queued(65_536, 0).is_ok());
    assert_eq!(queued(65_537, 0).unwrap_err().code, 413_001);
    let wide = CloudMessage::new("").with_property("p", Some(&"x".repeat(65_535)));
    assert_eq!(wide.into_queued("d", 0, at(0), &Settings::default()).unwrap_err().status, 400);
    let nameless = CloudMessage::new("").with_property("", Some("x"));
    assert_eq!(nameless.into_queued("d", 0, at(0), &Settings::default()).unwrap_err().status, 400);
    let mut short = CloudMessage::new("");
    short.expiry = Some(at(10));
    assert_eq!(short.into_queued("d", 0, at(0), &Settings::default()).unwrap().expires, at(10));
}
