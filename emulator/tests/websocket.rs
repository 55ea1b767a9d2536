//! MQTT over WebSocket: the upgrade, the frames, and their end.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::{Bytes, BytesMut};
use iothub_emulator::{Fault, Hub, Options};
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet};
use rustls::pki_types::PrivateKeyDer;
use support::websocket::{PATH, Socket, upgrade};
use support::*;
use tungstenite::http::StatusCode;
use tungstenite::{Error, Message};

fn open(hub: &Hub) -> Socket {
    upgrade(hub, Tls::default(), PATH, Some("mqtt")).unwrap().0
}

fn bytes(packet: &Packet) -> Bytes {
    let mut out = BytesMut::new();
    packet.write(&mut out, usize::MAX).unwrap();
    out.freeze()
}

fn connect(hub: &Hub, id: &str) -> Bytes {
    bytes(&Packet::Connect(connect_packet(hub, id)))
}

/// The next `count` bytes that come in binary frames.
fn read(socket: &mut Socket, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < count {
        match socket.read().unwrap() {
            Message::Binary(part) => got.extend_from_slice(&part),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got.len(), count);
    got
}

#[test]
fn a_device_and_a_module_work_as_they_do_over_tls() {
    let (hub, events) = hub();
    for (id, topic) in [("d", "devices/d/messages/events/"), ("d/m", "devices/d/modules/m/messages/events/")]
    {
        let mut client = Client::connect_over(&hub, Over::WebSocket, id);
        assert_eq!(events.next("connected")["protocol"], "websocket");
        client.publish(topic, 1, "hello");
        client.expect_puback(1);
        assert_eq!(events.next("telemetry")["body"], "hello");
        let large = "x".repeat(200_000);
        client.publish(topic, 2, &large);
        client.expect_puback(2);
        assert_eq!(events.next("telemetry")["body"], large);
        client.disconnect();
        assert_eq!(events.next("disconnected")["code"], "client");
    }
}

#[test]
fn the_subprotocol_comes_back_as_it_was_offered() {
    let (hub, _events) = hub();
    for (path, offered, chosen) in [
        (PATH, "mqtt", "mqtt"),
        (PATH, "MQTT", "MQTT"),
        (PATH, "amqp, Mqtt", "Mqtt"),
        ("/$iothub/websocket?iothub-no-client-cert=true", "mqtt", "mqtt"),
    ] {
        let (_socket, response) = upgrade(&hub, Tls::default(), path, Some(offered)).unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], chosen, "{path} {offered}");
    }
}

#[test]
fn a_wrong_path_or_subprotocol_is_a_bad_request() {
    let (hub, events) = hub();
    for (path, offered) in [
        (PATH, None),
        (PATH, Some("amqp")),
        (PATH, Some("mqttv5")),
        ("/", Some("mqtt")),
        ("/$iothub/websocket/", Some("mqtt")),
        ("/$iothub/WebSocket", Some("mqtt")),
        ("/emulator", Some("mqtt")),
    ] {
        let refused = upgrade(&hub, Tls::default(), path, offered).err();
        assert_eq!(refused, Some(StatusCode::BAD_REQUEST), "{path} {offered:?}");
        assert_eq!(events.next("refused")["code"], "websocket");
    }
}

#[test]
fn a_packet_may_span_frames_and_a_frame_hold_several() {
    let (hub, events) = hub();
    let mut socket = open(&hub);
    for byte in connect(&hub, "d") {
        socket.send(Message::Binary(Bytes::copy_from_slice(&[byte]))).unwrap();
        socket.send(Message::Binary(Bytes::new())).unwrap();
    }
    assert_eq!(read(&mut socket, 4), [0x20, 2, 0, 0]);

    let mut joined = BytesMut::new();
    for id in 1..=3 {
        joined.extend_from_slice(&bytes(&Packet::Publish(publish("devices/d/messages/events/", id, "x"))));
    }
    joined.extend_from_slice(&bytes(&Packet::PingReq));
    let (first, second) = joined.split_at(joined.len() - 10);
    socket.send(Message::Binary(Bytes::copy_from_slice(first))).unwrap();
    socket.send(Message::Binary(Bytes::copy_from_slice(second))).unwrap();
    assert_eq!(
        read(&mut socket, 14),
        [0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x40, 2, 0, 3, 0xd0, 0],
        "three PUBACKs and a PINGRESP"
    );
    for _ in 0..3 {
        events.next("telemetry");
    }
}

#[test]
fn pings_of_the_websocket_are_answered_and_a_close_ends_it() {
    let (hub, events) = hub();
    let mut socket = open(&hub);
    socket.send(Message::Ping(Bytes::from_static(b"before"))).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(Bytes::from_static(b"before")));
    socket.send(Message::Binary(connect(&hub, "d"))).unwrap();
    assert_eq!(read(&mut socket, 4), [0x20, 2, 0, 0]);
    socket.send(Message::Ping(Bytes::from_static(b"after"))).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(Bytes::from_static(b"after")));
    // A pong that nobody asked for concerns nobody.
    socket.send(Message::Pong(Bytes::new())).unwrap();
    socket.send(Message::Binary(bytes(&Packet::PingReq))).unwrap();
    assert_eq!(read(&mut socket, 2), [0xd0, 0]);

    socket.close(None).unwrap();
    assert!(matches!(socket.read(), Ok(Message::Close(_))), "the closing handshake is answered");
    // Without a DISCONNECT of MQTT the client is lost.
    assert_eq!(events.next("disconnected")["code"], "lost");
}

#[test]
fn a_text_frame_closes_the_connection() {
    let (hub, events) = hub();
    let mut socket = open(&hub);
    socket.send(Message::Binary(connect(&hub, "d"))).unwrap();
    assert_eq!(read(&mut socket, 4), [0x20, 2, 0, 0]);
    socket.send(Message::text("hello")).unwrap();
    assert!(!matches!(socket.read(), Ok(Message::Binary(_))));
    let reason = events.next("disconnected")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("text frame"), "{reason}");
}

#[test]
fn a_refused_connect_is_answered_and_then_closed() {
    let (hub, events) = hub();
    let mut client = Client::open_over(&hub, Over::WebSocket, Tls::default());
    let mut packet = connect_packet(&hub, "d");
    packet.set_login(format!("localhost/d/{API}"), token(&hub, "e", 3600));
    client.send(&Packet::Connect(packet));
    let refused = ConnAck { session_present: false, code: ConnectReturnCode::NotAuthorized };
    assert_eq!(client.receive(), Some(Packet::ConnAck(refused)));
    client.expect_close();
    assert_eq!(events.next("refused")["code"], "unauthorized");
}

#[test]
fn a_certificate_shown_to_the_https_port_counts() {
    let (key, certificate, thumbprint) = self_signed();
    let (hub, events) = start(Options::default().x509_device("x", &thumbprint));
    for shown in [true, false] {
        let key = || PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let identity = shown.then(|| (certificate.der().clone(), key()));
        let tls = Tls { identity, ..Tls::default() };
        let mut client = Client::open_over(&hub, Over::WebSocket, tls);
        let mut packet = rumqttc::mqttbytes::v4::Connect::new("x");
        packet.set_login(format!("localhost/x/{API}"), "");
        client.send(&Packet::Connect(packet));
        let accepted = client.expect_connack().code == ConnectReturnCode::Success;
        assert_eq!(accepted, shown);
        if shown {
            assert!(events.next("connected")["auth"].as_str().unwrap().contains("x509"));
        }
    }
}

#[test]
fn a_takeover_crosses_from_one_way_to_the_other() {
    let (hub, events) = hub();
    let mut first = Client::connect_over(&hub, Over::WebSocket, "d");
    let mut second = Client::connect_over(&hub, Over::Tls, "d");
    first.expect_close();
    assert_eq!(events.next("disconnected")["code"], "taken_over");
    second.subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce);
}

#[test]
fn drop_closes_without_a_frame() {
    let (hub, _events) = hub();
    let mut socket = open(&hub);
    socket.send(Message::Binary(connect(&hub, "d"))).unwrap();
    assert_eq!(read(&mut socket, 4), [0x20, 2, 0, 0]);
    assert_eq!(hub.fault(&Fault::new("drop", "d")).unwrap(), 1);
    assert!(matches!(socket.read(), Err(Error::Io(_) | Error::Protocol(_))), "no close frame");
}

#[test]
fn a_half_open_socket_does_not_even_answer_pings() {
    let (hub, _events) = hub();
    let mut socket = open(&hub);
    socket.send(Message::Binary(connect(&hub, "d"))).unwrap();
    assert_eq!(read(&mut socket, 4), [0x20, 2, 0, 0]);
    assert_eq!(hub.fault(&Fault::new("half_open", "d")).unwrap(), 1);
    socket.send(Message::Ping(Bytes::from_static(b"?"))).unwrap();
    // Ended by a takeover: had the ping been read, its answer would be here first.
    let _second = Client::connect(&hub, "d");
    assert!(matches!(socket.read(), Err(Error::Io(_) | Error::Protocol(_))), "neither pong nor close");
}

#[test]
fn the_path_mqtt_leads_to_the_provisioning_service_alone() {
    let (hub, events) = start(Options::default().device("d").enroll("r"));
    let open = || upgrade(&hub, Tls::default(), "/mqtt", Some("mqtt")).unwrap().0;
    let mut socket = open();
    let mut registrant = rumqttc::mqttbytes::v4::Connect::new("r");
    let user = format!("{}/registrations/r/api-version=2019-03-31&ClientVersion=t", hub.id_scope());
    let resource = sas::encode_resource(&format!("{}/registrations/r", hub.id_scope()));
    let key = SharedAccessKey::from_base64(hub.enrollment_key("r").unwrap()).unwrap();
    let token = sas::token(&resource, &key, unix_now() + 3600, Some("registration"));
    registrant.set_login(user, token);
    socket.send(Message::Binary(bytes(&Packet::Connect(registrant)))).unwrap();
    assert_eq!(read(&mut socket, 4), [0x20, 2, 0, 0]);

    let mut socket = open();
    socket.send(Message::Binary(connect(&hub, "d"))).unwrap();
    let refused = events.next("refused");
    assert_eq!((&refused["code"], refused["return_code"].is_null()), (&"websocket".into(), true));
    assert!(!matches!(socket.read(), Ok(Message::Binary(_))), "closed without a word");
}
