//! How a connection and a session end.

use iothub_mqtt::ErrorKind;
use iothub_mqtt::mqtt::{Drain, QoS, State};

use super::peer::{Peer, connect, texts};

const NOTHING: [&str; 0] = [];

#[test]
fn a_graceful_end_waits_for_what_is_in_flight() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.publish_many(1..=2);
    assert_eq!(peer.sent(), texts(1..=1, false));
    peer.session.disconnect(Drain::InFlight);
    assert_eq!(peer.sent(), NOTHING);
    peer.puback(1);
    assert_eq!(peer.sent(), ["DISCONNECT"], "the second message is for the next connection");
    assert_eq!(peer.session.state(), State::Finished);
    peer.drop_connection();
    assert_eq!(peer.events(), ["m1 done"]);
    peer.connect(true);
    assert_eq!(peer.sent(), texts(2..=2, false));
}

#[test]
fn a_graceful_end_waits_for_the_answer_to_a_subscribe() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.subscribe("a", QoS::AtLeastOnce);
    peer.session.disconnect(Drain::InFlight);
    assert_eq!(peer.sent(), ["SUBSCRIBE 1 a:1"]);
    peer.suback(1, &[1]).unwrap();
    assert_eq!(peer.sent(), ["DISCONNECT"]);
    assert_eq!(peer.events(), ["sub a granted 1"]);
}

#[test]
fn everything_that_was_accepted_goes_first_if_so_asked() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.publish_many(1..=2);
    peer.try_publish("z", QoS::AtMostOnce, None).unwrap();
    peer.session.disconnect(Drain::Everything);
    assert_eq!(peer.sent(), texts(1..=1, false));
    peer.puback(1);
    assert_eq!(peer.sent(), ["PUBLISH 2 m2", "PUBLISH 0 z"]);
    peer.puback(2);
    assert_eq!(peer.sent(), ["DISCONNECT"]);
    assert_eq!(peer.events(), ["m1 done", "z done", "m2 done"]);
}

#[test]
fn what_must_leave_before_the_end_may_still_be_said() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.publish_many(1..=1);
    peer.session.disconnect(Drain::Everything);
    peer.try_publish("z", QoS::AtMostOnce, None).unwrap();
    assert_eq!(peer.sent(), ["PUBLISH 1 m1", "PUBLISH 0 z"]);
    peer.session.disconnect(Drain::InFlight);
    let refused = peer.try_publish("y", QoS::AtMostOnce, None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::State);
    peer.puback(1);
    assert_eq!(peer.sent(), ["DISCONNECT"]);
}

#[test]
fn an_end_at_once_waits_for_nothing_and_keeps_what_waits() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.publish_many(1..=2);
    peer.sent();
    peer.subscribe("a", QoS::AtLeastOnce);
    peer.session.disconnect(Drain::Now);
    assert_eq!(peer.sent(), ["DISCONNECT"]);
    assert_eq!(peer.sent(), NOTHING);
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), ["SUBSCRIBE 3 a:1", "PUBLISH 1 dup m1"]);
}

#[test]
fn an_acknowledgement_that_crosses_the_disconnect_counts() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.publish("m1");
    peer.sent();
    peer.session.disconnect(Drain::Now);
    peer.sent();
    peer.message(3, "never seen", QoS::AtLeastOnce);
    peer.puback(1);
    assert_eq!(peer.events(), ["m1 done"]);
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), NOTHING);
}

#[test]
fn a_patient_end_may_turn_impatient() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.publish("m1");
    peer.sent();
    peer.session.disconnect(Drain::Everything);
    assert_eq!(peer.sent(), NOTHING);
    peer.session.disconnect(Drain::Now);
    assert_eq!(peer.sent(), ["DISCONNECT"]);
}

#[test]
fn an_end_during_the_handshake_waits_for_connack_only_if_it_waits_for_anything() {
    for (drain, after_connect, after_connack) in [
        (Drain::Now, &["CONNECT", "DISCONNECT"][..], &[][..]),
        (Drain::InFlight, &["CONNECT"], &["DISCONNECT"]),
        (Drain::Everything, &["CONNECT"], &["PUBLISH 1 m1"]),
    ] {
        let mut peer = Peer::with_window(1);
        peer.publish("m1");
        peer.start(&connect());
        peer.session.disconnect(drain);
        assert_eq!(peer.sent(), after_connect, "{drain:?}");
        peer.say_bytes(&[0x20, 2, 0, 0]).unwrap();
        assert_eq!(peer.sent(), after_connack, "{drain:?}");
        if drain == Drain::Everything {
            peer.puback(1);
            assert_eq!(peer.sent(), ["DISCONNECT"]);
        }
        assert_eq!(peer.session.state(), State::Finished);
    }
}

#[test]
fn a_disconnect_without_a_connection_does_nothing() {
    let mut peer = Peer::with_window(1);
    peer.session.disconnect(Drain::Everything);
    assert_eq!(peer.session.state(), State::Down);
    peer.connect(false);
    assert_eq!(peer.session.state(), State::Up);
}

#[test]
fn closing_completes_everything_once_and_takes_nothing_more() {
    let mut peer = Peer::with_window(2);
    peer.connect(false);
    peer.publish("m1");
    peer.try_publish("m2", QoS::AtLeastOnce, Some(5)).unwrap();
    peer.publish("m3");
    peer.subscribe("a", QoS::AtLeastOnce);
    peer.sent();
    peer.later(5);
    peer.timer().unwrap();
    peer.session.close();
    assert_eq!(peer.events(), ["m2 expired", "m1 closed", "m3 closed", "sub a closed"]);
    assert_eq!(peer.session.queued(), (0, 0));
    let refused = peer.try_publish("m4", QoS::AtLeastOnce, None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
    assert!(peer.session.subscribe(vec![("a".into(), QoS::AtLeastOnce)], String::new()).is_err());
    assert!(peer.session.unsubscribe(vec!["a".into()], String::new()).is_err());
    // The answers are on their way.
    peer.puback(1);
    peer.puback(2);
    peer.suback(4, &[1]).unwrap();
    peer.session.disconnect(Drain::Everything);
    assert_eq!(peer.sent(), ["DISCONNECT"]);
    peer.drop_connection();
    assert_eq!(peer.events(), NOTHING);
}
