//! What a reconnect does to what waits.

use iothub_mqtt::ErrorKind;
use iothub_mqtt::mqtt::{Connect, Fault, QoS, Settings, State};

use super::peer::{Peer, connect, texts};

#[test]
fn a_lost_session_loses_no_message() {
    let mut peer = Peer::with_window(3);
    peer.connect(false);
    peer.publish_many(1..=13);
    assert_eq!(peer.sent(), texts(1..=3, false));
    peer.drop_connection();
    peer.connect(false);
    for n in 1..=13 {
        let sent = peer.sent();
        let expected = if n == 1 { texts(1..=3, false) } else { texts(n + 2..=(n + 2).min(13), false) };
        assert_eq!(sent, if n + 2 > 13 { vec![] } else { expected });
        peer.puback(n as u16);
        assert_eq!(peer.events(), [format!("m{n} done")]);
    }
    assert_eq!(peer.session.queued(), (0, 0));
}

#[test]
fn a_kept_session_resends_what_was_sent_and_then_the_rest() {
    let mut peer = Peer::with_window(3);
    peer.connect(false);
    peer.publish_many(1..=13);
    assert_eq!(peer.sent(), texts(1..=3, false));
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), texts(1..=3, true));
    for n in 1..=13usize {
        peer.puback(n as u16);
        let next = n + 3;
        assert_eq!(peer.sent(), if next <= 13 { texts(next..=next, false) } else { vec![] });
        assert_eq!(peer.events(), [format!("m{n} done")]);
    }
    assert_eq!(peer.session.queued(), (0, 0));
}

#[test]
fn a_backlog_larger_than_the_window_survives_one_reconnect() {
    let mut peer = Peer::with_window(100);
    peer.connect(false);
    peer.publish_many(1..=300);
    assert_eq!(peer.sent(), texts(1..=100, false));
    for id in 1..=40 {
        peer.puback(id);
    }
    peer.drop_connection();
    peer.events();
    peer.connect(true);
    let mut received = peer.sent();
    for id in 41..=300 {
        peer.puback(id);
        received.extend(peer.sent());
    }
    let expected: Vec<_> = [texts(41..=100, true), texts(101..=300, false)].concat();
    assert_eq!(received, expected);
    assert_eq!(peer.events(), (41..=300).map(|n| format!("m{n} done")).collect::<Vec<_>>());
    assert_eq!(peer.session.queued(), (0, 0));
}

#[test]
fn a_drop_during_the_replay_keeps_the_order() {
    let mut peer = Peer::with_window(3);
    peer.connect(false);
    peer.publish_many(1..=6);
    peer.sent();
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), texts(1..=3, true));
    peer.puback(1);
    assert_eq!(peer.sent(), texts(4..=4, false));
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), texts(2..=4, true));
    for id in 2..=4 {
        peer.puback(id);
    }
    assert_eq!(peer.sent(), texts(5..=6, false));
}

#[test]
fn acknowledgements_out_of_order_do_not_rotate_the_replay() {
    let mut peer = Peer::with_window(5);
    peer.connect(false);
    peer.publish_many(1..=5);
    peer.sent();
    peer.puback(3);
    peer.puback(5);
    assert_eq!(peer.events(), ["m3 done", "m5 done"]);
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), [texts(1..=2, true), texts(4..=4, true)].concat());
}

#[test]
fn dup_marks_retransmissions_within_one_session_and_nothing_else() {
    let mut peer = Peer::with_window(2);
    peer.connect(false);
    peer.publish_many(1..=3);
    assert_eq!(peer.sent(), texts(1..=2, false));
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent(), texts(1..=2, false), "a new session has not seen them");
    peer.drop_connection();
    peer.connect(true);
    assert_eq!(peer.sent(), texts(1..=2, true));
    peer.puback(1);
    assert_eq!(peer.sent(), texts(3..=3, false), "never sent before");
}

#[test]
fn a_clean_session_has_no_retransmissions_whatever_the_server_says() {
    let mut peer = Peer::with_window(2);
    let clean = Connect { clean_session: true, ..connect() };
    peer.start(&clean);
    assert_eq!(peer.sent(), ["CONNECT"]);
    peer.connack(false);
    peer.publish_many(1..=1);
    assert_eq!(peer.sent(), texts(1..=1, false));
    peer.drop_connection();
    peer.start(&clean);
    assert_eq!(peer.sent(), ["CONNECT"]);
    peer.say_bytes(&[0x20, 2, 1, 0]).unwrap();
    assert_eq!(peer.events(), ["connected false"]);
    assert_eq!(peer.sent(), texts(1..=1, false));
}

#[test]
fn out_of_order_acknowledgements_and_a_lost_session_do_not_wedge_the_window() {
    let mut peer = Peer::with_window(3);
    peer.connect(false);
    peer.publish_many(1..=10);
    peer.sent();
    // Ids 2 and 3 come back, 1 does not: where ids wrap at the window, the next one collides.
    peer.puback(2);
    peer.puback(3);
    assert_eq!(peer.sent(), texts(4..=5, false));
    peer.drop_connection();
    peer.connect(false);
    assert_eq!(peer.sent(), [texts(1..=1, false), texts(4..=5, false)].concat());
    for id in [1, 4, 5] {
        peer.puback(id);
    }
    assert_eq!(peer.sent(), texts(6..=8, false));
}

#[test]
fn a_refused_connection_keeps_everything() {
    let mut peer = Peer::with_window(3);
    peer.publish_many(1..=2);
    peer.start(&connect());
    assert_eq!(peer.sent(), ["CONNECT"]);
    assert_eq!(peer.say_bytes(&[0x20, 2, 0, 5]), Err(Fault::Refused(5)));
    peer.drop_connection();
    peer.start(&connect());
    assert_eq!(peer.sent(), ["CONNECT"]);
    assert_eq!(peer.say_bytes(&[0x20, 2, 0, 0x97]), Err(Fault::Refused(0x97)));
    peer.drop_connection();
    assert_eq!(peer.events(), [""; 0]);
    peer.connect(false);
    assert_eq!(peer.sent(), texts(1..=2, false));
}

#[test]
fn a_flapping_link_holds_no_more_than_was_accepted() {
    let mut peer = Peer::with_window(10);
    peer.session.set_limits(iothub_mqtt::mqtt::Limits { messages: 110, in_flight: 10, ..Default::default() });
    let mut accepted = 0;
    for flap in 0..500 {
        peer.connect(flap % 3 != 0);
        while peer.try_publish(&format!("m{accepted}"), QoS::AtLeastOnce, None).is_ok() {
            accepted += 1;
        }
        assert_eq!(peer.session.queued().0, 110);
        assert_eq!(peer.sent().len(), 10, "the window holds in every replay");
        if flap % 2 == 0 {
            let id = (flap / 2 + 1) as u16;
            peer.puback(id);
        }
        peer.drop_connection();
    }
    assert_eq!(accepted, 110 + 250);
}

#[test]
fn messages_of_qos_0_end_with_the_connection() {
    let mut peer = Peer::with_window(1);
    let refused = peer.try_publish("z", QoS::AtMostOnce, None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::State);
    peer.connect(false);
    peer.publish("m1");
    peer.try_publish("z1", QoS::AtMostOnce, None).unwrap();
    peer.publish("m3");
    peer.try_publish("z2", QoS::AtMostOnce, None).unwrap();
    assert_eq!(peer.sent(), ["PUBLISH 1 m1", "PUBLISH 0 z1"], "no room is needed, but the order is kept");
    assert_eq!(peer.events(), ["z1 done"]);
    peer.drop_connection();
    assert_eq!(peer.events(), ["z2 not sent"]);
    peer.connect(true);
    assert_eq!(peer.sent(), ["PUBLISH 1 dup m1"]);
    peer.puback(1);
    assert_eq!(peer.sent(), ["PUBLISH 3 m3"]);
}

#[test]
fn messages_follow_connect_at_once_only_if_none_is_a_retransmission() {
    let mut peer = Peer::new(Settings { pipelined: true, ..Settings::default() });
    peer.start(&connect());
    peer.publish("m1");
    peer.subscribe("a", QoS::AtLeastOnce);
    assert_eq!(peer.sent(), ["CONNECT", "SUBSCRIBE 2 a:1", "PUBLISH 1 m1"]);
    peer.connack(false);
    assert_eq!(peer.sent(), [""; 0], "not sent twice");
    peer.drop_connection();
    peer.start(&connect());
    assert_eq!(peer.sent(), ["CONNECT"]);
    peer.connack(true);
    assert_eq!(peer.sent(), ["SUBSCRIBE 2 a:1", "PUBLISH 1 dup m1"]);
    peer.drop_connection();
    peer.start(&Connect { clean_session: true, ..connect() });
    assert_eq!(peer.sent(), ["CONNECT", "SUBSCRIBE 2 a:1", "PUBLISH 1 m1"]);
}

#[test]
fn a_start_without_a_stop_is_a_new_connection() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.publish("m1");
    peer.sent();
    peer.message(9, "c", QoS::AtLeastOnce);
    peer.events();
    peer.connect(true);
    assert_eq!(peer.session.state(), State::Up);
    assert_eq!(peer.sent(), texts(1..=1, true));
}
