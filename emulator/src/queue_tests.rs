#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn message(id: &str, expires: i64) -> Queued {
    let message_id = Some(id.into());
    Queued {
        message_id,
        input: None,
        topic: "t".into(),
        body: Bytes::new(),
        expires: at(expires),
        wish: None,
    }
}

fn queue(count: usize) -> Queue {
    let mut queue = Queue::default();
    (0..count).for_each(|i| queue.push(message(&i.to_string(), 3600)));
    queue
}

fn id(delivery: &Delivery) -> &str {
    delivery.message_id.as_deref().unwrap()
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(id).collect()
}

#[test]
fn messages_go_out_in_order_and_once() {
    let now = Instant::now();
    let mut queue = queue(2);
    assert_eq!(id(&queue.send_next(1, now).unwrap()), "0");
    assert_eq!(id(&queue.send_next(2, now).unwrap()), "1");
    assert!(queue.send_next(3, now).is_none());
    assert!(queue.is_in_use(2) && !queue.is_in_use(3));
    assert_eq!(id(&queue.complete(2).unwrap()), "1");
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
    assert_eq!(queue.lost(1).map(id), Some("0"), "and is known to be late");
    let again = queue.send_next(7, now + lock * 2).unwrap();
    assert_eq!((id(&again), again.count), ("0", 2));
}

#[test]
fn a_resumed_session_sees_the_unacknowledged_under_their_ids() {
    let now = Instant::now();
    let mut queue = queue(3);
    queue.send_next(4, now);
    queue.send_next(5, now);
    let again = queue.resend(now);
    let again: Vec<_> = again.iter().map(|(packet_id, d)| (*packet_id, id(d), d.count)).collect();
    assert_eq!(again, [(4, "0", 2), (5, "1", 2)]);
    queue.unlock_all();
    assert_eq!(queue.send_next(1, now).unwrap().count, 3);
}

#[test]
fn a_purge_takes_also_what_is_on_its_way() {
    let mut queue = queue(2);
    queue.send_next(1, Instant::now());
    assert_eq!(ids(&queue.purge()), ["0", "1"]);
    assert!(queue.complete(1).is_none() && queue.len() == 0);
}

#[test]
fn messages_expire() {
    let mut queue = queue(1);
    queue.push(message("short", 10));
    assert!(queue.expired(at(9)).is_empty());
    assert_eq!(ids(&queue.expired(at(10))), ["short"]);
    assert_eq!(ids(&queue.expired(at(3600))), ["0"]);
}

#[test]
fn only_so_many_are_on_their_way() {
    let now = Instant::now();
    let mut queue = queue(11);
    for packet_id in 1..=10 {
        assert!(queue.has_ready(10) && queue.send_next(packet_id, now).is_some());
    }
    assert!(!queue.has_ready(10) && queue.has_ready(11));
    queue.complete(7);
    assert!(queue.has_ready(10));
}
