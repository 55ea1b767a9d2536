#![allow(clippy::unwrap_used)]

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn queue(count: usize) -> Queue {
    let mut queue = Queue::default();
    for i in 0..count {
        queue.push("d", CloudMessage::new("x").with_id(&i.to_string()), at(0)).unwrap();
    }
    queue
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| &*delivery.message_id).collect()
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
    let mut full = queue(50);
    assert_eq!(full.push("d", CloudMessage::new("x"), at(0)).unwrap_err().code, 403_004);
    let mut empty = queue(0);
    assert!(empty.push("d", CloudMessage::new(vec![0; 65_536]), at(0)).is_ok());
    assert_eq!(empty.push("d", CloudMessage::new(vec![0; 65_537]), at(0)).unwrap_err().code, 413_001);
}

#[test]
fn messages_go_out_in_order_and_once() {
    let now = Instant::now();
    let mut queue = queue(2);
    assert_eq!(&*queue.send_next(1, now).unwrap().message_id, "0");
    assert_eq!(&*queue.send_next(2, now).unwrap().message_id, "1");
    assert!(queue.send_next(3, now).is_none());
    assert!(queue.is_in_use(2) && !queue.is_in_use(3));
    assert_eq!(&*queue.complete(2).unwrap().message_id, "1");
    assert!(queue.complete(2).is_none());
    assert_eq!(queue.len(), 1);
}

#[test]
fn a_message_whose_lock_ended_goes_out_again() {
    let now = Instant::now();
    let lock = Duration::from_secs(60);
    let mut queue = queue(2);
    queue.send_next(1, now + lock);
    assert_eq!(queue.next_unlock(), Some(now + lock));
    let before = now + lock - Duration::from_millis(1);
    assert!(queue.unlock_overdue(before).is_empty());
    assert_eq!(ids(&queue.unlock_overdue(now + lock)), ["0"]);
    assert!(queue.complete(1).is_none(), "a late PUBACK completes nothing");
    let again = queue.send_next(7, now + lock * 2).unwrap();
    assert_eq!((&*again.message_id, again.count), ("0", 2));
}

#[test]
fn a_resumed_session_sees_the_unacknowledged_under_their_ids() {
    let now = Instant::now();
    let mut queue = queue(3);
    queue.send_next(4, now);
    queue.send_next(5, now);
    let again = queue.resend(now);
    let again: Vec<_> = again.iter().map(|(id, d)| (*id, &*d.message_id, d.count)).collect();
    assert_eq!(again, [(4, "0", 2), (5, "1", 2)]);
    queue.unlock_all();
    assert_eq!(queue.send_next(1, now).unwrap().count, 3);
}

#[test]
fn messages_expire() {
    let mut queue = queue(1);
    let mut short = CloudMessage::new("x").with_id("short");
    short.expiry = Some(at(10));
    queue.push("d", short, at(0)).unwrap();
    assert!(queue.expired(at(9)).is_empty());
    assert_eq!(ids(&queue.expired(at(10))), ["short"]);
    assert_eq!(ids(&queue.expired(at(3600))), ["0"], "an hour by default");
}
