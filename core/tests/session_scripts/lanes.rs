//! What never waits behind the publish window.

use iothub_mqtt::mqtt::{Drain, Event, QoS};

use super::peer::{Peer, texts};

fn full_window() -> Peer {
    let mut peer = Peer::with_window(2);
    peer.connect(false);
    peer.publish_many(1..=5);
    assert_eq!(peer.sent(), texts(1..=2, false));
    peer
}

#[test]
fn with_the_window_full_an_acknowledgement_leaves_at_once() {
    let mut peer = full_window();
    peer.message(7, "c2d", QoS::AtLeastOnce);
    let Some(Event::Message(message)) = peer.session.next_event() else { panic!("no message") };
    assert!(!peer.session.has_output());
    peer.session.acknowledge(message.delivery.unwrap()).unwrap();
    assert_eq!(peer.sent(), ["PUBACK 7"]);
}

#[test]
fn with_the_window_full_subscriptions_leave_at_once() {
    let mut peer = full_window();
    peer.subscribe("a", QoS::AtLeastOnce);
    peer.unsubscribe("b");
    assert_eq!(peer.sent(), ["SUBSCRIBE 6 a:1", "UNSUBSCRIBE 7 b"]);
}

#[test]
fn with_the_window_full_a_ping_leaves_at_once() {
    let mut peer = full_window();
    peer.later(60);
    peer.timer().unwrap();
    assert_eq!(peer.sent(), ["PINGREQ"]);
}

#[test]
fn with_the_window_full_disconnect_leaves_at_once() {
    let mut peer = full_window();
    peer.session.disconnect(Drain::Now);
    assert_eq!(peer.sent(), ["DISCONNECT"]);
}

#[test]
fn the_urgent_goes_before_the_messages_of_the_same_turn() {
    let mut peer = Peer::with_window(10);
    peer.connect(false);
    peer.message(7, "c2d", QoS::AtLeastOnce);
    let Some(Event::Message(message)) = peer.session.next_event() else { panic!("no message") };
    peer.later(60);
    peer.publish("m1");
    peer.subscribe("a", QoS::AtLeastOnce);
    peer.timer().unwrap();
    peer.session.acknowledge(message.delivery.unwrap()).unwrap();
    assert_eq!(peer.sent(), ["PUBACK 7", "PINGREQ", "SUBSCRIBE 2 a:1", "PUBLISH 1 m1"]);
}

#[test]
fn one_turn_writes_one_large_message_at_most() {
    let mut peer = Peer::with_window(10);
    peer.connect(false);
    for _ in 0..3 {
        peer.publish(&"x".repeat(200_000));
    }
    let mut out = bytes::BytesMut::new();
    peer.session.output(&mut out, peer.now);
    assert!((200_000..201_000).contains(&out.len()));
    peer.subscribe("a", QoS::AtLeastOnce);
    assert_eq!(peer.sent()[0], "SUBSCRIBE 4 a:1");
}

#[test]
fn a_subscribe_never_carries_an_id_in_use() {
    let mut peer = Peer::with_window(50);
    peer.connect(false);
    let mut in_use = std::collections::BTreeSet::new();
    for n in 0..40_000 {
        let id = match n % 4 {
            0 => peer.subscribe("a", QoS::AtLeastOnce),
            3 => peer.unsubscribe("a"),
            _ => peer.publish("m"),
        };
        peer.session.output(&mut bytes::BytesMut::new(), peer.now);
        assert!(in_use.insert(id), "id {id} is in use");
        if in_use.len() > 40 {
            // The newest is answered first, so that old ids stay in use for long.
            let id = *in_use.iter().next_back().unwrap();
            in_use.remove(&id);
            let unsuback = [0xB0, 2, id.to_be_bytes()[0], id.to_be_bytes()[1]];
            match n % 4 {
                0 => peer.suback(id, &[1]).unwrap(),
                3 => peer.say_bytes(&unsuback).unwrap(),
                _ => peer.puback(id),
            }
        }
    }
}

#[test]
fn with_the_window_full_an_urgent_message_leaves_at_once() {
    let mut peer = full_window();
    assert_eq!(peer.publish_urgent("answer", QoS::AtLeastOnce), 6);
    peer.publish_urgent("question", QoS::AtMostOnce);
    assert_eq!(peer.sent(), ["PUBLISH 6 answer", "PUBLISH 0 question"]);
    assert_eq!(peer.events(), ["question done"]);
    peer.puback(6);
    assert_eq!(peer.events(), ["answer done"]);
    // Neither took a place in the window, nor gave one.
    assert!(peer.sent().is_empty());
    peer.puback(1);
    assert_eq!(peer.sent(), ["PUBLISH 3 m3"]);
}

#[test]
fn an_urgent_message_survives_a_reconnect_ahead_of_the_others() {
    let mut peer = full_window();
    peer.publish_urgent("answer", QoS::AtLeastOnce);
    peer.publish_urgent("question", QoS::AtMostOnce);
    assert_eq!(peer.sent().len(), 2);
    peer.drop_connection();
    peer.publish_urgent("second", QoS::AtLeastOnce);
    peer.connect(true);
    let sent = peer.sent();
    assert_eq!(sent[..2], ["PUBLISH 6 dup answer", "PUBLISH 8 second"]);
    assert_eq!(sent[2..], texts(1..=2, true));
    peer.puback(6);
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent()[..2], ["PUBLISH 8 second".to_owned(), texts(1..=1, false)[0].clone()]);
}

#[test]
fn a_drain_waits_for_what_is_urgent_and_for_what_its_user_expects() {
    for drain in [Drain::InFlight, Drain::Everything] {
        let mut peer = Peer::with_window(10);
        peer.connect(false);
        peer.publish_urgent("answer", QoS::AtLeastOnce);
        peer.session.expect(true);
        peer.session.disconnect(drain);
        assert_eq!(peer.sent(), ["PUBLISH 1 answer"]);
        peer.puback(1);
        assert!(peer.sent().is_empty());
        peer.session.expect(false);
        assert_eq!(peer.sent(), ["DISCONNECT"]);
    }
}

#[test]
fn after_disconnect_what_will_not_come_again_is_still_taken() {
    let mut peer = Peer::with_window(10);
    peer.connect(false);
    peer.session.disconnect(Drain::Now);
    assert_eq!(peer.sent(), ["DISCONNECT"]);
    peer.message(7, "again later", QoS::AtLeastOnce);
    peer.message(0, "now or never", QoS::AtMostOnce);
    let Some(Event::Message(message)) = peer.session.next_event() else { panic!("no message") };
    assert_eq!(message.payload, "now or never");
    assert!(peer.session.next_event().is_none());
}

#[test]
fn what_was_sent_is_counted() {
    let mut peer = full_window();
    peer.later(2);
    peer.puback(1);
    assert_eq!(peer.sent(), ["PUBLISH 3 m3"]);
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent().len(), 2);
    let counters = peer.session.counters();
    assert_eq!((counters.sent, counters.acknowledged, counters.resent), (3, 1, 2));
    assert_eq!(counters.last_round_trip, Some(std::time::Duration::from_secs(2)));
}
