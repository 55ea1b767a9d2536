#![allow(clippy::unwrap_used)]

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
    let topic = message.topic("MyDevice01", "1a2b");
    assert_eq!(
        topic,
        "devices/MyDevice01/messages/devicebound/%24.mid=1a2b\
         &%24.to=%2Fdevices%2FMyDevice01%2Fmessages%2FdeviceBound\
         &iothub-ack=full&prop1&prop2=&prop3=a%20string"
    );
    message.expiry = Some("3237-07-19T23:06:40Z".parse().unwrap());
    assert!(message.topic("d", "m").contains("%24.exp=3237-07-19T23%3A06%3A40.0000000Z&"));
    assert!(CloudMessage::new("").topic("d", "m").contains("iothub-ack=none"));
}

#[test]
fn the_queue_is_limited_in_number_and_size() {
    let queued = |body: usize, waiting| CloudMessage::new(vec![0; body]).into_queued("d", waiting, at(0));
    assert_eq!(queued(1, 49).unwrap().expires, at(3600), "an hour by default");
    assert_eq!(queued(1, 50).unwrap_err().code, 403_004);
    assert!(queued(65_536, 0).is_ok());
    assert_eq!(queued(65_537, 0).unwrap_err().code, 413_001);
    let wide = CloudMessage::new("").with_property("p", Some(&"x".repeat(65_535)));
    assert_eq!(wide.into_queued("d", 0, at(0)).unwrap_err().status, 400);
    let mut short = CloudMessage::new("");
    short.expiry = Some(at(10));
    assert_eq!(short.into_queued("d", 0, at(0)).unwrap().expires, at(10));
}
