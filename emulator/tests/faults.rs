//! Faults on demand, as a client meets them.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use iothub_emulator::{CloudMessage, Fault, Options, TimedFault};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use serde_json::{Value, json};
use support::*;

#[test]
fn drop_closes_now_without_a_packet() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    let mut other = Client::connect(&hub, "e");
    assert_eq!(hub.fault(&Fault::new("drop", "d")).unwrap(), 1);
    client.expect_close();
    assert_eq!(events.next("disconnected")["code"], "fault");
    other.send(&Packet::PingReq);
    assert_eq!(other.receive(), Some(Packet::PingResp));
    Client::connect(&hub, "d");
}

#[test]
fn drop_after_messages_takes_the_last_and_does_not_acknowledge_it() {
    let (hub, events) = hub();
    hub.fault(&Fault::new("drop", "d").after_messages(3).count(2)).unwrap();
    for _ in 0..2 {
        let mut client = Client::connect(&hub, "d");
        for id in 1..=4 {
            client.publish("devices/d/messages/events/", id, &id.to_string());
        }
        client.expect_puback(1);
        client.expect_puback(2);
        client.expect_close();
        for id in 1..=3 {
            assert_eq!(events.next("telemetry")["body"], id.to_string());
        }
        events.next("disconnected");
    }
    let mut client = Client::connect(&hub, "d");
    for id in 1..=4 {
        client.publish("devices/d/messages/events/", id, "x");
        client.expect_puback(id);
    }
}

#[test]
fn drop_after_messages_reaches_a_live_connection() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    assert_eq!(hub.fault(&Fault::new("drop", "*").after_messages(1)).unwrap(), 1);
    // The fault is a command to the connection's task, which takes commands before packets.
    client.publish("devices/d/messages/events/", 1, "x");
    client.expect_close();
}

#[test]
fn expire_and_take_over_name_their_cause() {
    let (hub, events) = hub();
    for (fault, code) in [("expire", "expired"), ("take_over", "taken_over")] {
        let mut client = Client::connect(&hub, "d");
        hub.fault(&Fault::new(fault, "d")).unwrap();
        client.expect_close();
        assert_eq!(events.next("disconnected")["code"], code);
    }
}

#[test]
fn half_open_neither_reads_nor_answers_until_it_ends() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    let time = Duration::from_millis(200);
    let start = Instant::now();
    assert_eq!(hub.fault(&Fault::new("half_open", "d").for_time(time)).unwrap(), 1);
    client.publish("devices/d/messages/events/", 1, "x");
    client.expect_puback(1);
    assert!(start.elapsed() >= time);
    events.next("telemetry");
    // For ever: only somebody else ends it.
    hub.fault(&Fault::new("half_open", "d")).unwrap();
    client.publish("devices/d/messages/events/", 2, "never read");
    let mut second = Client::connect(&hub, "d");
    client.expect_close();
    assert_eq!(events.next("disconnected")["code"], "taken_over");
    second.publish("devices/d/messages/events/", 1, "read");
    assert_eq!(events.next("telemetry")["body"], "read");
}

#[test]
fn delay_reads_and_answers_late() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    let time = Duration::from_millis(200);
    let start = Instant::now();
    hub.fault(&Fault::new("delay", "d").for_time(time)).unwrap();
    client.publish("devices/d/messages/events/", 1, "x");
    events.next("telemetry");
    client.expect_puback(1);
    assert!(start.elapsed() >= time);
}

#[test]
fn a_slow_reader_gets_everything_in_the_end() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    hub.fault(&Fault::new("slow_reader", "d").for_time(Duration::from_millis(100))).unwrap();
    client.publish("devices/d/messages/events/", 1, &"x".repeat(10_000));
    client.expect_puback(1);
    assert_eq!(events.next("telemetry")["body"].as_str().unwrap().len(), 10_000);
}

#[test]
fn truncate_and_corrupt_send_what_no_reader_accepts() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    hub.fault(&Fault::new("truncate", "d")).unwrap();
    assert_eq!(client.receive_bytes()[..2], [0x30, 0x20]);
    assert!(client.receive_bytes().is_empty());
    assert_eq!(events.next("disconnected")["code"], "fault");

    let mut client = Client::connect(&hub, "d");
    hub.fault(&Fault::new("corrupt", "d")).unwrap();
    assert_eq!(client.receive_bytes(), [0xf0, 0x01, 0xff]);
    client.send(&Packet::PingReq);
    assert_eq!(client.receive(), Some(Packet::PingResp));
}

#[test]
fn a_fault_without_a_connection_waits_for_one() {
    let (hub, _events) = hub();
    assert_eq!(hub.fault(&Fault::new("drop", "d")).unwrap(), 0);
    let (mut client, _) = Client::connect_with(&hub, "d", |_| ());
    client.expect_close();
    Client::connect(&hub, "d").subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce);
}

#[test]
fn a_fault_is_an_event_when_it_is_armed() {
    let (hub, events) = hub();
    let _client = Client::connect(&hub, "d");
    let told = |event: Value| {
        json!([event["device"], event["name"], event["target"], event["reached"], event["waiting"]])
    };
    hub.fault(&Fault::new("drop_and_lose_session", "d").count(3)).unwrap();
    assert_eq!(told(events.next("fault")), json!(["d", "lose_session", "d", 1, 2]));
    hub.fault(&Fault::new("throttle", "*").for_time(Duration::from_secs(1))).unwrap();
    assert_eq!(told(events.next("fault")), json!([null, "throttle", "*", 0, null]));
}

#[test]
fn a_fault_of_the_timetable_for_nobody_is_an_event() {
    let faults = vec![TimedFault::new(Fault::new("drop", "nobody"), Duration::from_millis(1))];
    let (_hub, events) = start(Options { faults, ..Options::default().device("d") });
    let event = events.next("fault");
    assert_eq!((&event["target"], &event["reached"]), (&json!("nobody"), &json!(0)));
    assert_eq!(event["note"], "not armed: nobody is not registered");
}

#[test]
fn what_is_armed_is_checked() {
    let (hub, _events) = hub();
    assert_eq!(hub.fault(&Fault::new("drop", "nobody")).unwrap_err().code, 404_001);
    assert_eq!(hub.fault(&Fault::new("explode", "d")).unwrap_err().status, 400);
    let _ = CloudMessage::new("");
}
