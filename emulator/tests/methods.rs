//! Direct methods.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use iothub_emulator::Hub;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, Publish};
use serde_json::{Value, json};
use support::*;

const METHODS: &str = "$iothub/methods/POST/#";
const MAX: usize = 128 * 1024;

fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn rid(request: &Publish) -> &str {
    request.topic.rsplit_once("?$rid=").unwrap().1
}

fn answer(client: &mut Client, request: &Publish, status: u16, body: &str) {
    client.publish(&format!("$iothub/methods/res/{status}/?$rid={}", rid(request)), 0, body);
}

fn call(hub: &Hub, connect: Duration, response: Duration) -> Result<(u16, Value), u32> {
    hub.call_method("d", "reboot", Some(&json!({"delay": 5})), connect, response).map_err(|e| e.code)
}

#[test]
fn a_method_is_called_and_answered() {
    let (hub, events) = hub();
    std::thread::scope(|scope| {
        // The caller waits for the device to come.
        let caller = scope.spawn(|| call(&hub, PATIENCE, PATIENCE));
        let mut client = Client::connect(&hub, "d");
        client.subscribe("$iothub/methods/POST/#", QoS::AtMostOnce);
        let request = client.expect_publish();
        let rid = request.topic.strip_prefix("$iothub/methods/POST/reboot/?$rid=").unwrap();
        assert_eq!(body(&request.payload), json!({"delay": 5}));
        client.publish("$iothub/methods/res/200/?$rid=unknown", 0, "{}");
        client.publish(&format!("$iothub/methods/res/202/?$rid={rid}"), 0, "{\"ok\":true}");
        assert_eq!(caller.join().unwrap(), Ok((202, json!({"ok": true}))));
        client.send(&Packet::PingReq);
        assert_eq!(client.receive(), Some(Packet::PingResp));
    });
    let event = events.next("method");
    assert_eq!((&event["name"], &event["status"]), (&json!("reboot"), &json!(202)));
}

#[test]
fn a_method_needs_a_device_that_is_there_and_answers() {
    let (hub, _events) = hub();
    let short = Duration::from_millis(1);
    assert_eq!(call(&hub, Duration::ZERO, short), Err(404_103));
    let mut client = Client::connect(&hub, "d");
    assert_eq!(call(&hub, Duration::ZERO, short), Err(404_103), "not subscribed");
    client.subscribe("$iothub/methods/POST/#", QoS::AtMostOnce);
    assert_eq!(call(&hub, Duration::ZERO, short), Err(504_101));
    let nobody = hub.call_method("nobody", "m", None, short, short);
    assert_eq!(nobody.unwrap_err().code, 404_001);
}

#[test]
fn many_calls_are_answered_in_any_order_over_every_link() {
    for over in [Over::Tls, Over::WebSocket] {
        for id in ["d", "d/m"] {
            let (hub, events) = hub();
            let mut client = Client::connect_over(&hub, over, id);
            client.subscribe(METHODS, QoS::AtLeastOnce);
            std::thread::scope(|scope| {
                let hub = &hub;
                let callers: Vec<_> = (0..16)
                    .map(|i| {
                        let call =
                            move || hub.call_method(id, "m", Some(&json!(i)), Duration::ZERO, PATIENCE);
                        scope.spawn(call)
                    })
                    .collect();
                let mut requests: Vec<Publish> = (0..16).map(|_| client.expect_publish()).collect();
                requests.iter().for_each(|request| client.acknowledge(request.pkid));
                requests.sort_by_key(|request| rid(request).to_owned());
                for request in &requests {
                    let number = body(&request.payload).as_u64().unwrap();
                    let status = u16::try_from(number).unwrap() + 200;
                    answer(&mut client, request, status, &format!("[{number}]"));
                    // A second answer, and one with nothing left to answer.
                    answer(&mut client, request, 500, "\"twice\"");
                }
                for (i, caller) in callers.into_iter().enumerate() {
                    assert_eq!(caller.join().unwrap(), Ok((200 + i as u16, json!([i]))));
                }
            });
            client.send(&Packet::PingReq);
            assert_eq!(client.receive(), Some(Packet::PingResp));
            for _ in 0..16 {
                assert_ne!(events.next("method")["status"], 500);
            }
        }
    }
}

#[test]
fn the_answer_of_another_identity_answers_nothing() {
    let (hub, _events) = hub();
    let mut device = Client::connect(&hub, "d");
    device.subscribe(METHODS, QoS::AtMostOnce);
    let mut module = Client::connect(&hub, "d/m");
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| call(&hub, Duration::ZERO, PATIENCE));
        let request = device.expect_publish();
        answer(&mut module, &request, 666, "");
        module.send(&Packet::PingReq);
        assert_eq!(module.receive(), Some(Packet::PingResp), "it was read");
        answer(&mut device, &request, 200, "");
        assert_eq!(caller.join().unwrap(), Ok((200, Value::Null)));
    });
}

#[test]
fn bodies_of_128_kib_pass_and_one_byte_more_does_not() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(METHODS, QoS::AtMostOnce);
    // With the quotes around it.
    let text = |size: usize| json!("x".repeat(size - 2));
    let refused = hub.call_method("d", "m", Some(&text(MAX + 1)), Duration::ZERO, PATIENCE);
    assert_eq!(refused.unwrap_err().code, 413_001);
    std::thread::scope(|scope| {
        for (size, code) in [(MAX, None), (MAX + 1, Some(502_000))] {
            let caller =
                scope.spawn(|| hub.call_method("d", "m", Some(&text(MAX)), Duration::ZERO, PATIENCE));
            let request = client.expect_publish();
            assert_eq!(request.payload.len(), MAX);
            answer(&mut client, &request, 200, &text(size).to_string());
            let result = caller.join().unwrap();
            match code {
                None => assert_eq!(result, Ok((200, text(size)))),
                Some(code) => assert_eq!(result.unwrap_err().code, code),
            }
        }
        let caller = scope.spawn(|| hub.call_method("d", "m", None, Duration::ZERO, PATIENCE));
        let request = client.expect_publish();
        assert_eq!(request.payload, Bytes::new(), "no payload is an empty body");
        answer(&mut client, &request, 200, "no JSON");
        assert_eq!(caller.join().unwrap().unwrap_err().code, 502_000);
    });
}

#[test]
fn what_comes_too_late_is_dropped() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe(METHODS, QoS::AtMostOnce);
    assert_eq!(call(&hub, Duration::ZERO, Duration::from_millis(1)), Err(504_101));
    let late = client.expect_publish();
    answer(&mut client, &late, 200, "1");
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| call(&hub, Duration::ZERO, PATIENCE));
        let request = client.expect_publish();
        answer(&mut client, &request, 201, "2");
        assert_eq!(caller.join().unwrap(), Ok((201, json!(2))));
    });
    assert_eq!(events.next("method")["status"], 201);
}
