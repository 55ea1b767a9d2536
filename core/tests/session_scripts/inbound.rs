//! Messages for the device, and hostile bytes.

use iothub_mqtt::ErrorKind;
use iothub_mqtt::mqtt::{Delivery, Event, Fault, QoS};
use rumqttc::mqttbytes::v4::{Packet, PubRel};

use super::peer::Peer;

fn received(peer: &mut Peer) -> (String, Option<Delivery>) {
    match peer.session.next_event() {
        Some(Event::Message(m)) => (String::from_utf8_lossy(&m.payload).into_owned(), m.delivery),
        other => panic!("no message but {other:?}"),
    }
}

#[test]
fn an_acknowledgement_from_before_a_reconnect_acknowledges_nothing() {
    for session_present in [false, true] {
        let mut peer = Peer::with_window(1);
        peer.connect(false);
        peer.message(1, "old", QoS::AtLeastOnce);
        let (_, old) = received(&mut peer);
        peer.drop_connection();
        assert_eq!(peer.session.acknowledge(old.unwrap()).unwrap_err().kind(), ErrorKind::NotFound);
        peer.connect(session_present);
        // The server numbers afresh: another message, the same packet id.
        peer.message(1, "new", QoS::AtLeastOnce);
        let (text, new) = received(&mut peer);
        assert_eq!(text, "new");
        assert_eq!(peer.session.acknowledge(old.unwrap()).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(peer.sent(), [""; 0]);
        peer.session.acknowledge(new.unwrap()).unwrap();
        assert_eq!(peer.session.acknowledge(new.unwrap()).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(peer.sent(), ["PUBACK 1"]);
    }
}

#[test]
fn acknowledgements_leave_in_the_order_of_arrival() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    for id in [5, 3, 9] {
        peer.message(id, "c2d", QoS::AtLeastOnce);
    }
    let deliveries: Vec<_> = (0..3).map(|_| received(&mut peer).1.unwrap()).collect();
    peer.session.acknowledge(deliveries[2]).unwrap();
    peer.session.acknowledge(deliveries[1]).unwrap();
    assert_eq!(peer.sent(), [""; 0]);
    peer.session.acknowledge(deliveries[0]).unwrap();
    assert_eq!(peer.sent(), ["PUBACK 5", "PUBACK 3", "PUBACK 9"]);
}

#[test]
fn nothing_can_be_acknowledged_behind_disconnect() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.message(1, "c2d", QoS::AtLeastOnce);
    let (_, delivery) = received(&mut peer);
    peer.session.disconnect(iothub_mqtt::mqtt::Drain::Now);
    assert_eq!(peer.sent(), ["DISCONNECT"]);
    assert_eq!(peer.session.acknowledge(delivery.unwrap()).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_message_of_qos_0_needs_no_acknowledgement() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.message(0, "c2d", QoS::AtMostOnce);
    assert_eq!(received(&mut peer), ("c2d".into(), None));
    assert_eq!(peer.sent(), [""; 0]);
}

#[test]
fn a_message_of_qos_2_is_delivered_once() {
    let pubrel = |pkid| Packet::PubRel(PubRel { pkid });
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.message(4, "c2d", QoS::ExactlyOnce);
    let (_, delivery) = received(&mut peer);
    peer.session.acknowledge(delivery.unwrap()).unwrap();
    assert_eq!(peer.sent(), ["PUBREC 4"]);
    peer.drop_connection();
    peer.connect(true);
    peer.message(4, "c2d", QoS::ExactlyOnce);
    assert_eq!(peer.events(), [""; 0], "a copy");
    assert_eq!(peer.sent(), ["PUBREC 4"]);
    peer.say(&pubrel(4));
    assert_eq!(peer.sent(), ["PUBCOMP 4"]);
    peer.message(4, "another", QoS::ExactlyOnce);
    assert_eq!(peer.events(), ["message another"]);
}

#[test]
fn a_message_of_qos_2_comes_again_until_it_is_acknowledged() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.message(4, "c2d", QoS::ExactlyOnce);
    peer.events();
    peer.drop_connection();
    peer.connect(true);
    peer.message(4, "c2d", QoS::ExactlyOnce);
    assert_eq!(peer.events(), ["message c2d"]);
}

#[test]
fn ids_of_a_session_that_may_be_gone_mark_no_copies() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.message(4, "c2d", QoS::ExactlyOnce);
    let (_, delivery) = received(&mut peer);
    peer.session.acknowledge(delivery.unwrap()).unwrap();
    assert_eq!(peer.sent(), ["PUBREC 4"]);
    peer.drop_connection();
    peer.start(&super::peer::connect());
    assert_eq!(peer.sent(), ["CONNECT"]);
    // The CONNACK that announces a new session is lost.
    peer.drop_connection();
    peer.connect(true);
    peer.message(4, "another", QoS::ExactlyOnce);
    assert_eq!(peer.events(), ["message another"]);
}

#[test]
fn a_server_that_breaks_mqtt_is_left_and_nothing_is_lost() {
    let hostile: [&[u8]; 18] = [
        &[0x40, 2, 0, 9],                   // PUBACK for nothing
        &[0x40, 2, 0, 0],                   // PUBACK of id 0
        &[0x40, 2, 0, 2],                   // PUBACK for what is not sent
        &[0x40, 2, 0, 3],                   // PUBACK for a SUBSCRIBE
        &[0x40, 3, 0, 1, 0],                // PUBACK with a byte too many
        &[0x41, 2, 0, 1],                   // reserved bits
        &[0x90, 3, 0, 1, 1],                // SUBACK for a PUBLISH
        &[0x90, 3, 0, 3, 3],                // SUBACK with an unknown code
        &[0xB0, 2, 0, 3],                   // UNSUBACK for a SUBSCRIBE
        &[0x20, 2, 0, 0],                   // a second CONNACK
        &[0x50, 2, 0, 1],                   // PUBREC
        &[0x30, 3, 0, 1, 0],                // a NUL in a topic
        &[0x30, 2, 0, 0],                   // no topic
        &[0x36, 5, 0, 1, b'a', 0, 1],       // QoS 3
        &[0x32, 5, 0, 1, b'a', 0, 0],       // id 0
        &[0x30, 0xFF, 0xFF, 0xFF, 0x7F],    // 256 MiB announced
        &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1], // a length of five bytes
        &[0xC0, 0],                         // PINGREQ
    ];
    for bytes in hostile {
        let mut peer = Peer::with_window(1);
        peer.connect(false);
        peer.publish_many(1..=2);
        peer.subscribe("a", QoS::AtLeastOnce);
        assert_eq!(peer.sent(), ["SUBSCRIBE 3 a:1", "PUBLISH 1 m1"]);
        assert!(matches!(peer.say_bytes(bytes), Err(Fault::Protocol(_))), "{bytes:02x?}");
        peer.drop_connection();
        assert_eq!(peer.events(), [""; 0], "{bytes:02x?}");
        peer.connect(true);
        assert_eq!(peer.sent(), ["SUBSCRIBE 3 a:1", "PUBLISH 1 dup m1"]);
    }
}

#[test]
fn a_packet_before_connack_ends_the_connection() {
    let mut peer = Peer::with_window(1);
    peer.start(&super::peer::connect());
    peer.sent();
    assert!(matches!(peer.say_bytes(&[0xD0, 0]), Err(Fault::Protocol(_))));
}

#[test]
fn packets_may_come_in_any_pieces() {
    let mut peer = Peer::with_window(1);
    peer.start(&super::peer::connect());
    peer.publish("m1");
    peer.sent();
    for byte in [0x20, 2, 0, 0] {
        peer.say_bytes(&[byte]).unwrap();
    }
    assert_eq!(peer.events(), ["connected false"]);
    assert_eq!(peer.sent(), ["PUBLISH 1 m1"]);
    for byte in [0x40, 2, 0, 1, 0x32, 6, 0, 1, b'a', 0, 7, b'x', 0xD0, 0] {
        peer.say_bytes(&[byte]).unwrap();
    }
    assert_eq!(peer.events(), ["m1 done", "message x"]);
}

#[test]
fn a_flood_of_messages_without_acknowledgement_is_bounded() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    let mut bytes = Vec::new();
    for id in (1..=u16::MAX).chain([1]) {
        bytes.extend_from_slice(&[0x32, 5, 0, 1, b'a', id.to_be_bytes()[0], id.to_be_bytes()[1]]);
    }
    assert!(matches!(peer.say_bytes(&bytes), Err(Fault::Protocol(_))));
}

/// Some senders leave a '+' as it is in the properties that IoT Hub puts into topics.
#[test]
fn a_wildcard_in_a_topic_is_taken_as_it_is() {
    let mut peer = Peer::with_window(1);
    peer.connect(false);
    peer.say_bytes(&[0x30, 5, 0, 3, b'a', b'+', b'#']).unwrap();
    let Some(Event::Message(message)) = peer.session.next_event() else { panic!("no message") };
    assert_eq!(message.topic, "a+#");
}
