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
