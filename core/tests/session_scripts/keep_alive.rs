//! The clocks.

use std::time::Duration;

use iothub_mqtt::mqtt::{Connect, Fault, QoS};

use super::peer::{Peer, connect};

const PINGRESP: [u8; 2] = [0xD0, 0];

fn connected() -> Peer {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer
}

#[test]
fn a_host_that_was_away_longer_than_keep_alive_finds_its_answer_waiting() {
    let mut peer = connected();
    peer.later(60);
    peer.timer().unwrap();
    assert_eq!(peer.sent(), ["PINGREQ"]);
    // PINGRESP came at once, but nobody looked for ten minutes.
    peer.later(600);
    peer.say_bytes(&PINGRESP).unwrap();
    peer.timer().unwrap();
    assert_eq!(peer.sent(), ["PINGREQ"], "silent for long, so the next ping is due");
    peer.say_bytes(&PINGRESP).unwrap();
    assert_eq!(peer.session.deadline(), Some(peer.now + Duration::from_secs(60)));
}

#[test]
fn a_silent_server_is_given_up_after_the_ping_timeout() {
    let mut peer = connected();
    peer.later(60);
    peer.timer().unwrap();
    assert_eq!(peer.sent(), ["PINGREQ"]);
    assert_eq!(peer.session.deadline(), Some(peer.now + Duration::from_secs(30)));
    peer.later(29);
    peer.timer().unwrap();
    peer.later(1);
    assert_eq!(peer.timer(), Err(Fault::KeepAlive));
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut peer = connected();
    peer.later(60);
    peer.timer().unwrap();
    peer.sent();
    peer.later(29);
    peer.say_bytes(&[0x30]).unwrap();
    peer.later(1);
    peer.timer().unwrap();
}

#[test]
fn a_ping_comes_only_when_a_direction_is_silent() {
    let mut peer = connected();
    for round in 1..=10 {
        peer.later(59);
        peer.timer().unwrap();
        peer.publish("m");
        assert_eq!(peer.sent(), [format!("PUBLISH {round} m")]);
        peer.puback(round);
    }
    // Only the server speaks: it still wants to hear from us.
    for _ in 0..2 {
        peer.later(30);
        peer.message(0, "c2d", QoS::AtMostOnce);
        peer.timer().unwrap();
    }
    assert_eq!(peer.sent(), ["PINGREQ"]);
    peer.say_bytes(&PINGRESP).unwrap();
    // Only we speak: the server may be gone.
    for _ in 0..2 {
        peer.later(30);
        peer.try_publish("z", QoS::AtMostOnce, None).unwrap();
        peer.sent();
        peer.timer().unwrap();
    }
    assert_eq!(peer.sent(), ["PINGREQ"]);
}

#[test]
fn the_wait_for_the_answer_begins_when_the_ping_has_left() {
    let mut peer = connected();
    peer.later(60);
    peer.timer().unwrap();
    let mut out = bytes::BytesMut::new();
    peer.session.output(&mut out, peer.now);
    assert_eq!(&out[..], [0xC0, 0]);
    assert_eq!(peer.session.deadline(), None, "an upload is in the way; the host watches whether it moves");
    peer.later(120);
    peer.timer().unwrap();
    peer.session.flushed(peer.now);
    assert_eq!(peer.session.deadline(), Some(peer.now + Duration::from_secs(30)));
}

#[test]
fn a_keep_alive_of_zero_never_wakes_anybody() {
    let mut peer = Peer::with_window(1);
    peer.start(&Connect { keep_alive: 0, ..connect() });
    peer.sent();
    peer.connack(false);
    assert_eq!(peer.session.deadline(), None);
    peer.later(100_000);
    peer.timer().unwrap();
    assert_eq!(peer.sent(), [""; 0]);
}

#[test]
fn a_connection_that_is_down_has_no_clock_but_that_of_its_messages() {
    let mut peer = connected();
    peer.later(60);
    peer.timer().unwrap();
    peer.sent();
    peer.drop_connection();
    assert_eq!(peer.session.deadline(), None);
    peer.try_publish("m1", QoS::AtLeastOnce, Some(5)).unwrap();
    peer.publish("m2");
    assert_eq!(peer.session.deadline(), Some(peer.now + Duration::from_secs(5)));
    peer.later(5);
    peer.timer().unwrap();
    assert_eq!(peer.events(), ["m1 expired"]);
    assert_eq!(peer.session.deadline(), None);
}
