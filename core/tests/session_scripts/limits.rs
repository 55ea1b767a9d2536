//! What is refused at the call, and what the window holds back.

use iothub_mqtt::ErrorKind;
use iothub_mqtt::mqtt::{Limits, MAX_TOPIC, Publish, QoS};

use super::peer::{Peer, texts};

#[test]
fn one_oversized_message_is_refused_and_the_next_is_delivered() {
    let mut peer = Peer::with_window(3);
    peer.session.set_limits(Limits { bytes: 1_000, ..Limits::default() });
    peer.connect(false);
    let refused = peer.try_publish(&"x".repeat(1_001), QoS::AtLeastOnce, None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    peer.publish("m1");
    assert_eq!(peer.sent(), texts(1..=1, false), "the refused one took no id");
    peer.puback(1);
    assert_eq!(peer.events(), ["m1 done"]);
}

#[test]
fn what_mqtt_cannot_carry_is_refused_and_changes_nothing() {
    let mut peer = Peer::with_window(3);
    peer.connect(false);
    let long = "t".repeat(MAX_TOPIC + 1);
    for (topic, qos) in [
        ("", QoS::AtLeastOnce),
        ("a/+", QoS::AtLeastOnce),
        (&long, QoS::AtLeastOnce),
        ("t", QoS::ExactlyOnce),
    ] {
        let publish = Publish { topic, payload: b"x", qos, retain: false };
        let refused = peer.session.publish(&publish, None, "mine".into()).unwrap_err();
        assert_eq!((refused.error.kind(), refused.tag.as_str()), (ErrorKind::Argument, "mine"));
    }
    assert!(peer.session.subscribe(vec![], String::new()).is_err());
    assert!(peer.session.subscribe(vec![("a#".into(), QoS::AtMostOnce)], String::new()).is_err());
    assert!(peer.session.unsubscribe(vec![], String::new()).is_err());
    assert_eq!(peer.session.queued(), (0, 0));
    assert_eq!(peer.sent(), [""; 0]);
}

#[test]
fn a_full_queue_refuses_messages_and_still_takes_subscriptions() {
    let mut peer = Peer::with_window(3);
    peer.session.set_limits(Limits { messages: 2, ..Limits::default() });
    peer.publish_many(1..=2);
    assert_eq!(peer.try_publish("m3", QoS::AtLeastOnce, None).unwrap_err().kind(), ErrorKind::Full);
    peer.subscribe("a", QoS::AtLeastOnce);
    for n in 1..1_000 {
        peer.subscribe(&format!("f{n}"), QoS::AtLeastOnce);
    }
    let refused =
        peer.session.subscribe(vec![("one more".into(), QoS::AtLeastOnce)], "x".into()).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::Full);
    peer.connect(false);
    peer.sent();
    peer.puback(1);
    peer.publish("m3");
}

#[test]
fn the_window_counts_bytes_but_always_takes_one_message() {
    let mut peer = Peer::with_window(10);
    peer.session.set_limits(Limits { in_flight_bytes: 100, ..Limits::default() });
    peer.connect(false);
    peer.publish(&"a".repeat(200));
    peer.publish(&"b".repeat(40));
    peer.publish(&"c".repeat(40));
    peer.publish(&"d".repeat(40));
    let starts = |sent: Vec<String>| sent.iter().map(|text| text[..11].to_owned()).collect::<Vec<_>>();
    assert_eq!(starts(peer.sent()), ["PUBLISH 1 a"]);
    peer.puback(1);
    assert_eq!(starts(peer.sent()), ["PUBLISH 2 b", "PUBLISH 3 c"], "47 bytes each");
    peer.puback(2);
    assert_eq!(starts(peer.sent()), ["PUBLISH 4 d"]);
}

#[test]
fn ids_wrap_past_those_in_use() {
    let mut peer = Peer::with_window(2);
    peer.session.set_limits(Limits { messages: 10, in_flight: 2, ..Limits::default() });
    peer.connect(false);
    let mut id = 0u16;
    for n in 1..=200_000u32 {
        id = if id == u16::MAX { 1 } else { id + 1 };
        assert_eq!(peer.publish("m"), id, "message {n}");
        peer.session.output(&mut bytes::BytesMut::new(), peer.now);
        peer.puback(id);
        assert_eq!(peer.session.queued(), (0, 0));
    }
    peer.events();
    // Ids 65,534, 65,535, 1 and 2 at once, dropped and resumed across the wrap.
    while id != u16::MAX - 2 {
        id = peer.publish("m");
        peer.sent();
        peer.puback(id);
    }
    peer.events();
    for payload in ["a", "b", "c", "d"] {
        peer.publish(payload);
    }
    assert_eq!(peer.sent(), ["PUBLISH 65534 a", "PUBLISH 65535 b"]);
    peer.puback(65_535);
    assert_eq!(peer.sent(), ["PUBLISH 1 c"]);
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), ["PUBLISH 65534 dup a", "PUBLISH 1 dup c"]);
    peer.puback(1);
    peer.puback(65_534);
    assert_eq!(peer.sent(), ["PUBLISH 2 d"]);
    peer.puback(2);
    assert_eq!(peer.events(), ["c done", "a done", "d done"]);
}

#[test]
fn one_unanswered_message_does_not_let_ids_be_used_twice() {
    let mut peer = Peer::with_window(2);
    peer.connect(false);
    let stuck = peer.publish("stuck");
    let mut refused = None;
    for _ in 0..70_000 {
        match peer.try_publish("m", QoS::AtLeastOnce, None) {
            Ok(id) => {
                assert_ne!(id, stuck);
                peer.session.output(&mut bytes::BytesMut::new(), peer.now);
                peer.puback(id);
            }
            Err(error) => {
                refused = Some(error.kind());
                break;
            }
        }
    }
    assert_eq!(refused, Some(ErrorKind::Full));
    peer.puback(stuck);
    peer.publish("m");
}

#[test]
fn a_message_that_expires_in_flight_keeps_its_id_until_it_is_answered() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.try_publish("m1", QoS::AtLeastOnce, Some(10)).unwrap();
    peer.try_publish("m2", QoS::AtLeastOnce, Some(5)).unwrap();
    peer.try_publish("m3", QoS::AtLeastOnce, None).unwrap();
    assert_eq!(peer.sent(), ["PUBLISH 1 m1"]);
    peer.later(10);
    peer.timer().unwrap();
    assert_eq!(peer.events(), ["m2 expired", "m1 expired"]);
    assert_eq!(peer.session.queued().0, 2);
    assert_eq!(peer.sent(), [""; 0], "its place in the window is taken");
    peer.puback(1);
    assert_eq!(peer.events(), [""; 0]);
    assert_eq!(peer.sent(), ["PUBLISH 3 m3"]);
}

#[test]
fn a_message_that_expires_in_flight_is_not_sent_again() {
    let mut peer = Peer::with_window(2);
    peer.connect(false);
    peer.try_publish("m1", QoS::AtLeastOnce, Some(10)).unwrap();
    peer.publish("m2");
    peer.sent();
    peer.later(10);
    peer.timer().unwrap();
    peer.drop_connection();
    assert_eq!(peer.events(), ["m1 expired"]);
    assert_eq!(peer.session.queued().0, 1);
    peer.connect(true);
    assert_eq!(peer.sent(), ["PUBLISH 2 dup m2"]);
    peer.puback(2);
    assert_eq!(peer.session.queued(), (0, 0));
}
