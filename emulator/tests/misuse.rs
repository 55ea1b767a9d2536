//! What the hub answers by closing the connection.

#![allow(clippy::unwrap_used)]

mod support;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubRec, SubAck, SubscribeReasonCode};
use support::*;

#[test]
fn misuse_closes_and_sends_the_will() {
    let (hub, events) = hub();
    let mut qos2 = publish("devices/d/messages/events/", 1, "x");
    qos2.qos = QoS::ExactlyOnce;
    let cases: Vec<(Packet, &str)> = vec![
        (Packet::Publish(qos2), "QoS 2"),
        (Packet::PubRec(PubRec::new(1)), "QoS 2"),
        (Packet::Publish(publish("telemetry", 1, "x")), "'telemetry' is not a topic"),
        (Packet::Publish(publish("devices/e/messages/events/", 1, "x")), "not a topic"),
        (Packet::Publish(publish("$iothub/twin/GET/", 0, "")), "$rid"),
        (Packet::Publish(publish("devices/d/messages/events/a=b=c", 1, "x")), "second '='"),
        (Packet::Connect(connect_packet(&hub, "d")), "second CONNECT"),
        (Packet::PingResp, "only a server"),
    ];
    for (packet, part) in cases {
        let (mut client, _) = Client::connect_with(&hub, "d", |c| {
            c.last_will = will("devices/d/messages/events/", "gone");
        });
        client.send(&packet);
        client.expect_close();
        assert_eq!(events.next("telemetry")["body"], "gone", "{part}");
        let end = events.next("disconnected");
        assert_eq!(end["code"], "protocol");
        assert!(end["reason"].as_str().unwrap().contains(part), "{end}");
    }
}

#[test]
fn unknown_filters_close_without_a_suback() {
    let (hub, events) = hub();
    for filter in ["foo/#", "#", "devices/d/messages/devicebound/+", "devices/e/messages/devicebound/#"] {
        let mut client = Client::connect(&hub, "d");
        client.send_subscribe(1, &[("$iothub/twin/res/#", QoS::AtLeastOnce), (filter, QoS::AtLeastOnce)]);
        client.expect_close();
        assert!(events.next("disconnected")["reason"].as_str().unwrap().contains(filter));
    }
}

#[test]
fn five_filters_are_granted_and_a_sixth_closes() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    let five = [
        ("devices/d/messages/devicebound/#", QoS::AtMostOnce),
        ("$iothub/twin/res/#", QoS::AtLeastOnce),
        ("$iothub/twin/PATCH/properties/desired/#", QoS::ExactlyOnce),
        ("$iothub/methods/POST/#", QoS::AtLeastOnce),
        ("$iothub/methods/POST/reboot/#", QoS::AtLeastOnce),
    ];
    client.send_subscribe(7, &five);
    let granted = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::AtLeastOnce, QoS::AtLeastOnce, QoS::AtLeastOnce];
    let expected = SubAck::new(7, granted.into_iter().map(SubscribeReasonCode::Success).collect());
    assert_eq!(client.receive(), Some(Packet::SubAck(expected)));
    client.send_subscribe(8, &five[..2]);
    assert!(matches!(client.receive(), Some(Packet::SubAck(_))), "the same again is no sixth");
    client.send_subscribe(9, &[("$iothub/methods/POST/other/#", QoS::AtLeastOnce)]);
    client.expect_close();
    assert!(events.next("disconnected")["reason"].as_str().unwrap().contains("5"));
}

#[test]
fn an_oversize_packet_closes_before_it_is_read() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.send_bytes(&[0x32, 0xff, 0xff, 0xff, 0x7f]);
    client.expect_close();
    assert_eq!(events.next("disconnected")["code"], "too_large");
}

#[test]
fn what_came_before_the_misuse_is_acknowledged() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    let mut bytes = bytes::BytesMut::new();
    publish("devices/d/messages/events/", 1, "good").write(&mut bytes).unwrap();
    publish("nowhere", 2, "bad").write(&mut bytes).unwrap();
    client.send_bytes(&bytes);
    client.expect_puback(1);
    client.expect_close();
}

#[test]
fn garbage_is_closed() {
    let (hub, events) = hub();
    for bytes in [&[0xf0, 0][..], &[0x00, 0x00], &[0x36, 0x05, 0, 1, b'a', 0, 1], &[0x82, 0x02, 0, 1]] {
        let mut client = Client::connect(&hub, "d");
        client.send_bytes(bytes);
        client.expect_close();
        assert_eq!(events.next("disconnected")["code"], "protocol");
    }
}
