//! A device against the local hub, over TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::mpsc;
use std::time::Duration;

use iothub_emulator::{CloudMessage, Fault, Options};
use iothub_mqtt::hub::{Message, SystemProperty};
use iothub_mqtt::io::{Ack, Cause};
use iothub_mqtt::mqtt::Delivery;
use iothub_mqtt::{ConnectionState, DeviceClient, ErrorKind};
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded, wait};
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest, Sha256};

fn reading() -> Message {
    let mut message = Message::new(r#"{"t":21.5}"#);
    message.set_system(SystemProperty::MessageId, "1").unwrap();
    message.set_system(SystemProperty::ContentType, "application/json").unwrap();
    message.set_system(SystemProperty::ContentEncoding, "utf-8").unwrap();
    message.set_property("alert", Some("yes & no/100 %")).unwrap();
    message.set_property("nothing", None).unwrap();
    message
}

#[test]
fn telemetry_arrives_with_its_properties() {
    let local = Local::start();
    let device = Recorded::connected(local.config(DEVICE));
    wait(device.client.send(&reading()).unwrap()).unwrap();
    let event = local.event("telemetry");
    assert_eq!(event["device"], DEVICE);
    assert_eq!(event["body"], r#"{"t":21.5}"#);
    assert_eq!(event["system"]["message-id"], "1");
    assert_eq!(event["system"]["content-type"], "application/json");
    assert_eq!(event["properties"]["alert"], "yes & no/100 %");
    assert!(event["properties"]["nothing"].is_null() && event["properties"].get("nothing").is_some());
}

#[test]
fn a_module_sends_as_itself() {
    let local = Local::with(Options::default().device(DEVICE).module(DEVICE, "camera"));
    let module = Recorded::connected(local.config("device-1/camera"));
    wait(module.client.send(&Message::new("frame")).unwrap()).unwrap();
    let event = local.event("telemetry");
    assert_eq!((&event["device"], &event["module"]), (&DEVICE.into(), &"camera".into()));
    assert_eq!(
        module.client.on_message(Some(Box::new(|_, _| Ack::Now))).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn a_certificate_is_enough() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([DEVICE.to_owned()]).unwrap().self_signed(&key).unwrap();
    let thumbprint: String =
        Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02X}")).collect();
    let local = Local::with(Options::default().x509_device(DEVICE, &thumbprint));
    let mut config = local.config(DEVICE);
    config.set_x509(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let device = Recorded::connected(config.clone());
    wait(device.client.send(&Message::new("by certificate")).unwrap()).unwrap();
    assert_eq!(local.event("telemetry")["body"], "by certificate");

    let other = KeyPair::generate().unwrap();
    let wrong = CertificateParams::new([DEVICE.to_owned()]).unwrap().self_signed(&other).unwrap();
    config.set_x509(wrong.pem().as_bytes(), other.serialize_pem().as_bytes()).unwrap();
    let stranger = Recorded::new(config);
    assert_eq!(wait(stranger.client.connect().unwrap()).unwrap_err().kind(), ErrorKind::Auth);
}

/// A device that records its messages and settles them as `ack` says.
fn receiving(local: &Local, ack: Ack) -> (Recorded, mpsc::Receiver<(String, Delivery)>) {
    let device = Recorded::new(local.config(DEVICE));
    let (sender, messages) = mpsc::channel();
    let handler = move |message: &Message, delivery| {
        sender.send((String::from_utf8(message.body().to_vec()).unwrap(), delivery)).unwrap_or_default();
        ack
    };
    device.client.on_message(Some(Box::new(handler))).unwrap();
    wait(device.client.connect().unwrap()).unwrap();
    (device, messages)
}

/// The id of the next message that the hub takes as processed.
fn settled(local: &Local) -> String {
    loop {
        let event = local.event("c2d");
        if event["state"] == "completed" {
            return event["message_id"].as_str().unwrap().to_owned();
        }
    }
}

#[test]
fn a_cloud_to_device_message_is_settled_by_its_handler() {
    let local = Local::start();
    let (_device, messages) = receiving(&local, Ack::Now);
    local.hub.send_c2d(DEVICE, CloudMessage::new("open the valve").with_id("m1")).unwrap();
    assert_eq!(messages.recv_timeout(PATIENCE).unwrap().0, "open the valve");
    assert_eq!(settled(&local), "m1");
}

#[test]
fn a_close_lets_the_handler_that_is_running_settle_its_message() {
    let local = Local::start();
    let device = Recorded::new(local.config(DEVICE));
    let (sender, running) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let handler = move |_: &Message, _| {
        sender.send(()).unwrap();
        released.recv().unwrap();
        Ack::Now
    };
    device.client.on_message(Some(Box::new(handler))).unwrap();
    wait(device.client.connect().unwrap()).unwrap();
    for id in ["first", "second"] {
        local.hub.send_c2d(DEVICE, CloudMessage::new("slow").with_id(id)).unwrap();
    }
    running.recv_timeout(PATIENCE).unwrap();
    let closed = device.client.close(PATIENCE).unwrap();
    release.send(()).unwrap();
    release.send(()).unwrap();
    wait(closed).unwrap();
    assert_eq!([settled(&local), settled(&local)], ["first", "second"]);
}

#[test]
fn an_unsettled_message_comes_again_and_its_old_number_settles_nothing() {
    let local = Local::start();
    let (device, messages) = receiving(&local, Ack::Later);
    local.hub.send_c2d(DEVICE, CloudMessage::new("first").with_id("first")).unwrap();
    local.hub.send_c2d(DEVICE, CloudMessage::new("second").with_id("second")).unwrap();
    let first = messages.recv_timeout(PATIENCE).unwrap().1;
    let second = messages.recv_timeout(PATIENCE).unwrap().1;
    local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
    let (body, again) = messages.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body, "first");
    assert_ne!(first, again);
    for old in [first, second] {
        assert_eq!(device.client.acknowledge(old).unwrap_err().kind(), ErrorKind::NotFound);
    }
    let (body, last) = messages.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body, "second");
    device.client.acknowledge(last).unwrap();
    device.client.acknowledge(again).unwrap();
    assert_eq!([settled(&local), settled(&local)], ["first", "second"]);
    assert_eq!(device.client.acknowledge(again).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_lost_session_is_subscribed_again() {
    let local = Local::start();
    let (_device, messages) = receiving(&local, Ack::Now);
    local.event("subscribed");
    local.hub.fault(&Fault::new("drop_and_lose_session", DEVICE)).unwrap();
    local.event("subscribed");
    local.hub.send_c2d(DEVICE, CloudMessage::new("after the loss")).unwrap();
    assert_eq!(messages.recv_timeout(PATIENCE).unwrap().0, "after the loss");
}

#[test]
fn messages_that_came_before_their_handler_wait_for_it() {
    let local = Local::start();
    let (device, messages) = receiving(&local, Ack::Now);
    local.event("subscribed");
    device.client.on_message(None).unwrap();
    local.hub.send_c2d(DEVICE, CloudMessage::new("early")).unwrap();
    // Telemetry that comes back acknowledged shows that the message has been read by now.
    wait(device.client.send(&Message::new("round trip")).unwrap()).unwrap();
    assert!(messages.try_recv().is_err());
    let (sender, messages) = mpsc::channel();
    let handler = move |message: &Message, _| {
        sender.send(message.body().clone()).unwrap();
        Ack::Now
    };
    device.client.on_message(Some(Box::new(handler))).unwrap();
    assert_eq!(messages.recv_timeout(PATIENCE).unwrap(), "early");
}

#[test]
fn a_will_is_sent_when_the_connection_breaks_and_not_at_a_goodbye() {
    let local = Local::start();
    let mut config = local.config(DEVICE);
    let mut will = Message::new("gone");
    will.set_property("battery", Some("low")).unwrap();
    config.set_will(&will, 1).unwrap();
    let device = Recorded::connected(config);
    local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
    let event = local.event("telemetry");
    assert_eq!(event["body"], "gone");
    assert_eq!(event["properties"]["iothub-MessageType"], "Will");
    assert_eq!(event["properties"]["battery"], "low");
    device.until(ConnectionState::Connected);
    wait(device.client.close(PATIENCE).unwrap()).unwrap();
    loop {
        let event = local.events.recv_timeout(PATIENCE).unwrap();
        assert_ne!(event["event"], "telemetry", "a will after a goodbye");
        if event["event"] == "disconnected" && !event["reason"].as_str().unwrap().contains("drop") {
            break;
        }
    }
}

#[test]
fn what_is_sent_before_connecting_arrives_in_order() {
    let local = Local::start();
    let device = Recorded::new(local.config(DEVICE));
    let pending: Vec<_> =
        (0..200).map(|i| device.client.send(&Message::new(i.to_string())).unwrap()).collect();
    drop(device.client.connect().unwrap());
    for pending in pending {
        wait(pending).unwrap();
    }
    for i in 0..200 {
        assert_eq!(local.event("telemetry")["body"], i.to_string());
    }
}

#[test]
fn closing_sends_what_is_queued_and_says_when_it_could_not() {
    let local = Local::start();
    let device = Recorded::connected(local.config(DEVICE));
    let last = device.client.send(&Message::new("last words")).unwrap();
    wait(device.client.close(PATIENCE).unwrap()).unwrap();
    wait(last).unwrap();
    assert_eq!(local.event("telemetry")["body"], "last words");
    assert_eq!(device.client.send(&Message::new("too late")).unwrap_err().kind(), ErrorKind::Closed);

    let mut config = local.config(DEVICE);
    config.tuning.set_port(1).unwrap();
    let device = Recorded::new(config);
    drop(device.client.connect().unwrap());
    let pending = device.client.send(&Message::new("never")).unwrap();
    let closed = wait(device.client.close(Duration::from_millis(50)).unwrap());
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(wait(pending).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(device.until(ConnectionState::Closed).cause, Some(Cause::ClosedByUs));
}

#[test]
fn a_full_queue_refuses_and_a_message_expires() {
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.tuning.set_queue_limits(2, 1 << 20).unwrap();
    config.tuning.set_time_to_live(Some(Duration::from_secs(1))).unwrap();
    let device = Recorded::new(config);
    let kept = [(); 2].map(|()| device.client.send(&Message::new("kept")).unwrap());
    assert_eq!(device.client.send(&Message::new("refused")).unwrap_err().kind(), ErrorKind::Full);
    for pending in kept {
        assert_eq!(wait(pending).unwrap_err().kind(), ErrorKind::Expired);
    }
    assert_eq!(device.client.mqtt().queued(), (0, 0));
    drop(device.client.send(&Message::new("room again")).unwrap());
}

#[test]
fn a_second_connection_takes_over_and_the_first_learns_it() {
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.tuning.set_backoff(Duration::from_secs(60), Duration::from_secs(60)).unwrap();
    let first = Recorded::connected(config.clone());
    let second = Recorded::connected(config);
    let status = first.fault();
    assert_eq!(status.cause, Some(Cause::ClosedByHub));
    assert!(status.detail.contains("another connection"), "{}", status.detail);
    second.client.free();
}

#[test]
fn tokens_are_renewed_before_they_expire_and_nothing_is_lost() {
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.set_sas_life(Duration::from_secs(10)).unwrap();
    let device = Recorded::connected(config);
    let mut sent = 0;
    let status = loop {
        wait(device.client.send(&Message::new(sent.to_string())).unwrap()).unwrap();
        sent += 1;
        if let Ok(status) = device.changes.try_recv() {
            break status;
        }
    };
    assert_eq!(status.cause, Some(Cause::Renewed), "{status:?}");
    device.until(ConnectionState::Connected);
    wait(device.client.send(&Message::new(sent.to_string())).unwrap()).unwrap();
    for i in 0..=sent {
        assert_eq!(local.event("telemetry")["body"], i.to_string());
    }
}

#[test]
fn callbacks_may_call_anything_and_end_their_own_client() {
    let local = Local::start();
    let client = DeviceClient::threaded(local.config(DEVICE)).unwrap();
    let (sender, ended) = mpsc::channel();
    let inner = client.clone();
    let pending = std::sync::Mutex::new(Vec::new());
    client
        .on_message(Some(Box::new(move |_, delivery| {
            inner.acknowledge(delivery).unwrap();
            inner.on_status(None);
            for _ in 0..10 {
                let sender = sender.clone();
                let done = iothub_mqtt::Completion::new(move |result| sender.send(result.is_ok()).unwrap());
                inner.send_with(&Message::new("from a callback"), done).unwrap();
            }
            pending.lock().unwrap().push(inner.send(&Message::new("x")).unwrap());
            inner.free();
            assert_eq!(inner.send(&Message::new("y")).unwrap_err().kind(), ErrorKind::Closed);
            Ack::Later
        })))
        .unwrap();
    wait(client.connect().unwrap()).unwrap();
    local.hub.send_c2d(DEVICE, CloudMessage::new("go")).unwrap();
    // Each completes exactly once, whether the hub had it or the end came first.
    for _ in 0..10 {
        ended.recv_timeout(PATIENCE).unwrap();
    }
    assert!(ended.recv_timeout(PATIENCE).is_err(), "more than ten completions");
}

#[test]
fn two_programs_with_one_identity_are_recognised() {
    let local = Local::start();
    let (first, second) =
        (Recorded::connected(local.config(DEVICE)), Recorded::connected(local.config(DEVICE)));
    let status = loop {
        let status = first.fault();
        if status.cause != Some(Cause::ClosedByHub) {
            break status;
        }
    };
    assert_eq!(status.cause, Some(Cause::TakenOver), "{status:?}");
    assert!(status.detail.contains("another program"), "{status:?}");
    drop(second);
    first.until(ConnectionState::Connected);
}
