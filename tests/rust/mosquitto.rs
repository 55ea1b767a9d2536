//! The library against a broker that is not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::mpsc;
use std::time::Duration;

use iothub_mqtt::io::Cause;
use iothub_mqtt::mqtt::{Publish, QoS};
use iothub_mqtt::{Answer, ConnectionState, MqttClient, MqttConfig};
use iothub_tests::broker::{Mosquitto, PASSWORD, USER};
use iothub_tests::{PATIENCE, wait};

fn config(broker: &Mosquitto, client_id: &str) -> MqttConfig {
    let mut config = MqttConfig::new("localhost", client_id).unwrap();
    config.tuning.set_port(broker.port()).unwrap();
    config.tuning.set_trusted_roots(broker.ca_pem.as_bytes()).unwrap();
    config.tuning.set_backoff(Duration::from_millis(10), Duration::from_millis(50)).unwrap();
    config.tuning.set_slow_backoff(Duration::from_millis(50), Duration::from_millis(50)).unwrap();
    config.set_credentials(USER, Some(PASSWORD));
    config
}

fn publish<'a>(payload: &'a [u8], qos: QoS) -> Publish<'a> {
    Publish { topic: "gauges/1/reading", payload, qos, retain: false }
}

#[test]
fn publishes_subscribes_receives_and_comes_back_when_the_broker_restarts() {
    let mut broker = Mosquitto::start();
    let client = MqttClient::threaded(config(&broker, "gauge-1")).unwrap();
    let (received, messages) = mpsc::channel();
    let (changed, changes) = mpsc::channel();
    client.on_message(Some(Box::new(move |message| {
        received.send((message.topic, message.payload.to_vec())).unwrap();
        iothub_mqtt::io::Ack::Now
    })));
    client.on_status(Some(Box::new(move |status| changed.send(status.state).unwrap())));
    wait(client.connect().unwrap()).unwrap();
    let granted =
        wait(client.subscribe(vec![("gauges/+/reading".into(), QoS::ExactlyOnce)]).unwrap()).unwrap();
    assert_eq!(granted, Answer::Subscribed(vec![Some(QoS::ExactlyOnce)]));

    let mut expected = Vec::new();
    for i in 0..300_u32 {
        let qos = if i % 3 == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let payload = vec![i as u8; i as usize * 200];
        drop(client.publish(&publish(&payload, qos)).unwrap());
        expected.push(payload);
    }
    for payload in expected {
        let (topic, got) = messages.recv_timeout(PATIENCE).unwrap();
        assert_eq!((topic.as_str(), got), ("gauges/1/reading", payload));
    }

    // The broker forgets everything; the subscription is made again and what was queued is sent.
    while changes.try_recv().is_ok() {}
    broker.stop();
    while changes.recv_timeout(PATIENCE).unwrap() != ConnectionState::Connecting {}
    let queued = client.publish(&publish(b"while it was down", QoS::AtLeastOnce)).unwrap();
    broker.restart();
    wait(queued).unwrap();
    while changes.recv_timeout(PATIENCE).unwrap() != ConnectionState::Connected {}
    wait(client.publish(&publish(b"after", QoS::AtLeastOnce)).unwrap()).unwrap();
    loop {
        if messages.recv_timeout(PATIENCE).unwrap().1 == b"after" {
            break;
        }
    }
    wait(client.close(PATIENCE).unwrap()).unwrap();
    client.free();
}

#[test]
fn a_wrong_password_is_said() {
    let broker = Mosquitto::start();
    let mut config = config(&broker, "gauge-2");
    config.set_credentials(USER, Some("xyzzy"));
    let client = MqttClient::threaded(config).unwrap();
    let (changed, changes) = mpsc::channel();
    client.on_status(Some(Box::new(move |status| changed.send(status.clone()).unwrap_or_default())));
    let error = wait(client.connect().unwrap()).unwrap_err();
    assert_eq!(error.kind(), iothub_mqtt::ErrorKind::Auth, "{error}");
    let status = changes.iter().find(|status| status.cause.is_some()).unwrap();
    assert_eq!(status.cause, Some(Cause::Authentication));
    assert!(!status.detail.contains("xyzzy"), "a secret in {:?}", status.detail);
    client.free();
}

/// What a handler has not seen yet is bounded: beyond that the server has to wait, and keep-alive goes on.
#[test]
fn a_slow_handler_holds_the_server_back_and_keeps_the_connection() {
    const MESSAGES: usize = 8_000;
    let broker = Mosquitto::start();
    let mut slow = config(&broker, "slow");
    slow.tuning.set_keep_alive(2).unwrap();
    slow.tuning.set_ping_timeout(1).unwrap();
    let slow = MqttClient::threaded(slow).unwrap();
    let (received, messages) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (changed, changes) = mpsc::channel();
    let mut held = Some(released);
    slow.on_message(Some(Box::new(move |message| {
        if let Some(released) = held.take() {
            released.recv().unwrap_or_default();
        }
        received.send(message.payload).unwrap_or_default();
        iothub_mqtt::io::Ack::Now
    })));
    slow.on_status(Some(Box::new(move |status| changed.send(status.clone()).unwrap_or_default())));
    wait(slow.connect().unwrap()).unwrap();
    wait(slow.subscribe(vec![("gauges/#".into(), QoS::AtMostOnce)]).unwrap()).unwrap();

    let sender = MqttClient::threaded(config(&broker, "sender")).unwrap();
    wait(sender.connect().unwrap()).unwrap();
    let payload = vec![7; 4096];
    let mut last = None;
    for _ in 0..MESSAGES {
        last = Some(wait(sender.publish(&publish(&payload, QoS::AtLeastOnce)).unwrap()).unwrap());
    }
    assert_eq!(last, Some(Answer::Done));
    // The broker cannot get rid of 32 MB. It has to wait, for longer than the keep-alive of the client.
    let silence = std::time::Instant::now() + Duration::from_secs(5);
    while let Some(left) = silence.checked_duration_since(std::time::Instant::now()) {
        std::thread::park_timeout(left);
    }
    release.send(()).unwrap();
    for i in 0..MESSAGES {
        assert_eq!(messages.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("message {i}")).len(), 4096);
    }
    assert!(changes.try_iter().all(|status| status.cause.is_none()), "the connection was lost");
    slow.free();
    sender.free();
}
