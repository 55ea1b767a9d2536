//! SUBSCRIBE, UNSUBSCRIBE, and what a server that has forgotten is told again.

use iothub_mqtt::mqtt::{Fault, QoS, Settings};

use super::peer::Peer;

const NOTHING: [&str; 0] = [];

fn unsuback(peer: &mut Peer, id: u16) {
    let [high, low] = id.to_be_bytes();
    peer.say_bytes(&[0xB0, 2, high, low]).unwrap();
}

/// Subscribed to `a` at QoS 0 and `b` at QoS 1.
fn subscribed() -> Peer {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.subscribe("a", QoS::AtMostOnce);
    peer.subscribe("b", QoS::AtLeastOnce);
    peer.sent();
    peer.suback(1, &[0]).unwrap();
    peer.suback(2, &[1]).unwrap();
    peer.events();
    peer
}

#[test]
fn each_subscription_learns_what_was_granted() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    let filters = vec![
        ("a".to_owned(), QoS::ExactlyOnce),
        ("b".to_owned(), QoS::AtLeastOnce),
        ("c".to_owned(), QoS::AtMostOnce),
    ];
    peer.session.subscribe(filters, "three".into()).unwrap();
    peer.subscribe("d", QoS::AtLeastOnce);
    assert_eq!(peer.sent(), ["SUBSCRIBE 1 a:2 b:1 c:0", "SUBSCRIBE 2 d:1"]);
    peer.suback(2, &[0x80]).unwrap();
    peer.suback(1, &[1, 0x80, 0]).unwrap();
    assert_eq!(peer.events(), ["sub d granted refused", "three granted 1 refused 0"]);
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent(), ["SUBSCRIBE 3 a:2 c:0"], "what was refused is not asked for again");
}

#[test]
fn a_suback_with_a_wrong_number_of_codes_ends_the_operation_and_the_connection() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.subscribe("a", QoS::AtLeastOnce);
    peer.sent();
    assert!(matches!(peer.suback(1, &[1, 1]), Err(Fault::Protocol(_))));
    assert_eq!(peer.events(), ["sub a protocol"]);
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), NOTHING);
}

#[test]
fn a_subscribe_that_was_not_answered_is_sent_again() {
    for session_present in [false, true] {
        let mut peer = Peer::with_window(1);
        peer.subscribe("a", QoS::AtLeastOnce);
        peer.connect(false);
        assert_eq!(peer.sent(), ["SUBSCRIBE 1 a:1"]);
        peer.unsubscribe("b");
        peer.drop_connection();
        peer.connect(session_present);
        assert_eq!(peer.sent(), ["SUBSCRIBE 1 a:1", "UNSUBSCRIBE 2 b"]);
        unsuback(&mut peer, 2);
        peer.suback(1, &[1]).unwrap();
        assert_eq!(peer.events(), ["unsub b done", "sub a granted 1"]);
    }
}

#[test]
fn a_server_that_has_forgotten_is_told_again_until_it_answers() {
    let mut peer = subscribed();
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), NOTHING, "it remembers");
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent(), ["SUBSCRIBE 3 a:0 b:1"]);
    peer.drop_connection();
    // That SUBSCRIBE may or may not have arrived before the drop.
    peer.connect(true);
    assert_eq!(peer.sent(), ["SUBSCRIBE 4 a:0 b:1"]);
    peer.suback(4, &[0, 1]).unwrap();
    assert_eq!(peer.events(), NOTHING, "nobody asked for it");
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), NOTHING);
    assert_eq!(peer.session.queued(), (0, 0));
}

#[test]
fn a_server_may_have_forgotten_when_its_connack_was_lost() {
    let mut peer = subscribed();
    peer.drop_connection();
    peer.start(&super::peer::connect());
    assert_eq!(peer.sent(), ["CONNECT"]);
    // It has begun a new session and said so, but the connection broke before it was heard.
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), ["SUBSCRIBE 3 a:0 b:1"]);
}

#[test]
fn what_was_asked_last_is_what_counts() {
    let mut peer = subscribed();
    peer.subscribe("a", QoS::AtLeastOnce);
    peer.unsubscribe("b");
    peer.drop_connection();
    for _ in 0..2 {
        peer.connect(false);
        assert_eq!(peer.sent(), ["SUBSCRIBE 3 a:1", "UNSUBSCRIBE 4 b"]);
        peer.drop_connection();
    }
    peer.connect(true);
    peer.sent();
    peer.suback(3, &[1]).unwrap();
    unsuback(&mut peer, 4);
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent(), ["SUBSCRIBE 5 a:1"]);
}

#[test]
fn an_unsubscribe_during_the_restoration_wins() {
    let mut peer = subscribed();
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent(), ["SUBSCRIBE 3 a:0 b:1"]);
    peer.unsubscribe("a");
    assert_eq!(peer.sent(), ["UNSUBSCRIBE 4 a"]);
    peer.suback(3, &[0, 1]).unwrap();
    unsuback(&mut peer, 4);
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent(), ["SUBSCRIBE 5 b:1"]);
}

#[test]
fn nothing_is_restored_for_whom_it_is_switched_off() {
    let mut peer = Peer::new(Settings { resubscribe: false, ..Settings::default() });
    peer.connect(false);
    peer.subscribe("a", QoS::AtLeastOnce);
    peer.sent();
    peer.suback(1, &[1]).unwrap();
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent(), NOTHING);
}
