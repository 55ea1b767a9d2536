//! Twins and direct methods of a device and of a module, against the local hub.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use iothub_emulator::{Fault, Options};
use iothub_mqtt::hub::{Desired, Message, Method, MethodRequest};
use iothub_mqtt::{Answer, DeviceClient, ErrorKind};
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded, wait};
use serde_json::{Value, json};

fn twin(client: &DeviceClient) -> Value {
    match wait(client.twin_get().unwrap()).unwrap() {
        Answer::Twin(document) => serde_json::from_slice(&document).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn report(client: &DeviceClient, patch: &Value) -> iothub_mqtt::Result<Option<u64>> {
    match wait(client.twin_patch(patch.to_string().as_bytes())?)? {
        Answer::Reported(version) => Ok(version),
        other => panic!("{other:?}"),
    }
}

fn patch(desired: &Desired) -> (u64, Value) {
    (desired.version, serde_json::from_slice(&desired.patch).unwrap())
}

fn watching(client: &DeviceClient) -> Receiver<(u64, Value)> {
    let (sender, changes) = mpsc::channel();
    client
        .on_desired(Some(Box::new(move |desired| sender.send(patch(desired)).unwrap_or_default())))
        .unwrap();
    changes
}

fn next<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn a_twin_is_read_and_reported_by_a_device_and_by_a_module() {
    let local = Local::with(Options::default().device(DEVICE).module(DEVICE, "camera"));
    for id in [DEVICE, "device-1/camera"] {
        local.hub.update_desired(id, &json!({"interval": 5})).unwrap();
        let device = Recorded::connected(local.config(id));
        assert_eq!(twin(&device.client)["desired"], json!({"interval": 5, "$version": 2}));
        let version =
            report(&device.client, &json!({"interval": 5, "old": null, "deep": {"a": [1]}})).unwrap();
        assert_eq!(version, Some(2));
        let reported = twin(&device.client)["reported"].clone();
        assert_eq!(reported, json!({"interval": 5, "deep": {"a": [1]}, "$version": 2}));
        assert_eq!(local.hub.twin(id).unwrap()["properties"]["reported"]["interval"], 5);
    }
}

#[test]
fn what_breaks_a_rule_is_refused_at_the_call_or_with_the_words_of_the_hub() {
    let local = Local::start();
    let device = Recorded::connected(local.config(DEVICE));
    for bad in ["", "[]", "{", "1", "nonsense"] {
        let error = device.client.twin_patch(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument, "{bad}");
        assert!(error.detail().starts_with("json: "), "{error}");
    }
    let error = report(&device.client, &json!({"a.b": 1})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.detail().contains("400") && error.detail().contains("invalid character"), "{error}");
}

#[test]
fn requests_made_before_the_connection_are_answered_after_it() {
    let local = Local::start();
    let device = Recorded::new(local.config(DEVICE));
    let get = device.client.twin_get().unwrap();
    let report = device.client.twin_patch(b"{\"early\":true}").unwrap();
    assert_eq!(device.client.stats().queued, 3);
    wait(device.client.connect().unwrap()).unwrap();
    assert!(matches!(wait(get).unwrap(), Answer::Twin(_)));
    assert_eq!(wait(report).unwrap(), Answer::Reported(Some(2)));
}

#[test]
fn a_request_that_a_reconnect_took_is_asked_again() {
    let local = Local::start();
    let device = Recorded::connected(local.config(DEVICE));
    twin(&device.client);
    local.hub.fault(&Fault::new("half_open", DEVICE)).unwrap();
    let get = device.client.twin_get().unwrap();
    let reports: Vec<_> =
        (0..20).map(|n| device.client.twin_patch(json!({"n": n}).to_string().as_bytes()).unwrap()).collect();
    local.hub.fault(&Fault::new("drop_and_lose_session", DEVICE)).unwrap();
    assert!(matches!(wait(get).unwrap(), Answer::Twin(_)));
    for report in reports {
        assert!(matches!(wait(report).unwrap(), Answer::Reported(Some(_))));
    }
    assert_eq!(twin(&device.client)["reported"]["n"], 19);
}

#[test]
fn a_throttled_request_waits_and_succeeds_or_says_so_at_its_deadline() {
    let local = Local::start();
    let device = Recorded::connected(local.config(DEVICE));
    local.hub.fault(&Fault::new("throttle", DEVICE)).unwrap();
    assert_eq!(report(&device.client, &json!({"a": 1})).unwrap(), Some(2));

    let mut config = local.config(DEVICE);
    config.set_request_timeout(Duration::from_millis(200)).unwrap();
    device.client.free();
    let hasty = Recorded::connected(config);
    local.hub.fault(&Fault { count: Some(1000), ..Fault::new("throttle", DEVICE) }).unwrap();
    let error = report(&hasty.client, &json!({"a": 2})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
}

#[test]
fn desired_changes_come_once_whatever_the_connection_does() {
    let local = Local::start();
    let change = |value: Value| local.hub.update_desired(DEVICE, &value).unwrap();
    change(json!({"a": 1, "b": {"c": 2}}));
    let device = Recorded::new(local.config(DEVICE));
    let changes = watching(&device.client);
    wait(device.client.connect().unwrap()).unwrap();
    assert_eq!(next(&changes), (2, json!({"a": 1, "b": {"c": 2}})));
    change(json!({"a": 2}));
    assert_eq!(next(&changes), (3, json!({"a": 2})));

    for (fault, start) in [("drop", 3), ("drop_and_lose_session", 5)] {
        local.hub.fault(&Fault::new(fault, DEVICE)).unwrap();
        let n = u64::from(start == 5);
        change(json!({"a": 10 + n, "b": null}));
        change(json!({"a": 20 + n, "d": [n]}));
        // As one patch or as two: each version at most once, and the last one last.
        let mut seen = json!({"b": {"c": 2}});
        let mut last = start;
        while last < start + 2 {
            let (version, patch) = next(&changes);
            assert!(version > last, "{version} after {last}");
            last = version;
            for (name, value) in patch.as_object().unwrap() {
                match value {
                    Value::Null => drop(seen.as_object_mut().unwrap().remove(name)),
                    value => seen[name] = value.clone(),
                }
            }
        }
        assert_eq!((&seen["a"], &seen["d"]), (&json!(20 + n), &json!([n])));
        if start == 3 {
            assert!(seen.get("b").is_none());
        }
    }
    quiet(&local, &device, &changes);
}

/// A reconnect without a change tells nothing, and a new handler is told everything.
fn quiet(local: &Local, device: &Recorded, changes: &Receiver<(u64, Value)>) {
    local.hub.fault(&Fault::new("drop_and_lose_session", DEVICE)).unwrap();
    device.until(iothub_mqtt::ConnectionState::Connected);
    // Answered after the library's own question.
    twin(&device.client);
    assert!(changes.try_recv().is_err());
    device.client.on_desired(None).unwrap();
    let again = watching(&device.client);
    assert_eq!(next(&again).1, json!({"a": 21, "d": [1]}));
}

/// A device whose methods come to the test.
fn callee(local: &Local, id: &str) -> (Recorded, Receiver<Method>) {
    let device = Recorded::new(local.config(id));
    let (sender, calls) = mpsc::channel();
    device
        .client
        .on_method(Some(Box::new(move |method| sender.send(method.clone()).unwrap_or_default())))
        .unwrap();
    wait(device.client.connect().unwrap()).unwrap();
    (device, calls)
}

/// Calls a method from a thread, as a back-end does.
fn call(
    local: &Local,
    id: &str,
    name: &str,
    payload: Option<Value>,
) -> std::thread::JoinHandle<(u16, Value)> {
    let (hub, id, name) = (Arc::clone(&local.hub), id.to_owned(), name.to_owned());
    std::thread::spawn(move || hub.call_method(&id, &name, payload.as_ref(), PATIENCE, PATIENCE).unwrap())
}

#[test]
fn methods_are_answered_at_once_or_later_in_any_order() {
    let local = Local::with(Options::default().device(DEVICE).module(DEVICE, "camera"));
    for id in [DEVICE, "device-1/camera"] {
        let (device, calls) = callee(&local, id);
        let first = call(&local, id, "thermostat1*reboot", Some(json!({"delay": 5})));
        let one = next(&calls);
        assert_eq!((one.component(), one.command()), (Some("thermostat1"), "reboot"));
        assert_eq!(one.body, r#"{"delay":5}"#);
        let second = call(&local, id, "stop", None);
        let two = next(&calls);
        assert!(two.body.is_empty());
        device.client.respond(two.request, 202, b"").unwrap();
        assert_eq!(second.join().unwrap(), (202, Value::Null));
        device.client.respond(one.request, 200, br#"{"ok":true}"#).unwrap();
        assert_eq!(first.join().unwrap(), (200, json!({"ok": true})));

        for request in [one.request, two.request, MethodRequest(99)] {
            assert_eq!(device.client.respond(request, 200, b"").unwrap_err().kind(), ErrorKind::NotFound);
        }
    }
}

#[test]
fn an_answer_that_is_no_json_or_too_large_is_refused_and_may_be_given_again() {
    let local = Local::start();
    let (device, calls) = callee(&local, DEVICE);
    let caller = call(&local, DEVICE, "m", None);
    let request = next(&calls).request;
    let large = format!("\"{}\"", "x".repeat(128 * 1024));
    for (body, kind) in [("{", ErrorKind::Argument), (large.as_str(), ErrorKind::TooLarge)] {
        assert_eq!(device.client.respond(request, 200, body.as_bytes()).unwrap_err().kind(), kind);
    }
    device.client.respond(request, 200, b"1").unwrap();
    assert_eq!(caller.join().unwrap(), (200, json!(1)));
}

#[test]
fn an_answer_survives_a_reconnect() {
    let local = Local::start();
    let (device, calls) = callee(&local, DEVICE);
    let caller = call(&local, DEVICE, "m", None);
    let request = next(&calls).request;
    local.hub.fault(&Fault::new("drop_and_lose_session", DEVICE)).unwrap();
    device.fault();
    device.client.respond(request, 200, b"\"late\"").unwrap();
    assert_eq!(caller.join().unwrap(), (200, json!("late")));
}

#[test]
fn without_a_handler_the_caller_learns_at_once() {
    let local = Local::start();
    let (device, _calls) = callee(&local, DEVICE);
    device.client.on_method(None).unwrap();
    assert_eq!(call(&local, DEVICE, "m", None).join().unwrap().0, 404);
}

#[test]
fn a_closed_client_refuses_answers_and_completes_requests() {
    let local = Local::start();
    let (device, calls) = callee(&local, DEVICE);
    let (hub, name) = (Arc::clone(&local.hub), "m");
    let caller = std::thread::spawn(move || {
        hub.call_method(DEVICE, name, None, PATIENCE, Duration::from_secs(1)).map_err(|error| error.status)
    });
    let request = next(&calls).request;
    local.hub.fault(&Fault::new("half_open", DEVICE)).unwrap();
    let get = device.client.twin_get().unwrap();
    device.client.free();
    assert_eq!(wait(get).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(device.client.respond(request, 200, b"").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(device.client.twin_get().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(caller.join().unwrap(), Err(504));
}

#[test]
fn a_close_waits_for_the_answers_that_are_owed() {
    let local = Local::start();
    let device = Recorded::connected(local.config(DEVICE));
    let reports: Vec<_> =
        (0..50).map(|n| device.client.twin_patch(format!("{{\"n\":{n}}}").as_bytes()).unwrap()).collect();
    wait(device.client.close(PATIENCE).unwrap()).unwrap();
    for report in reports {
        assert!(matches!(wait(report).unwrap(), Answer::Reported(Some(_))));
    }
    assert_eq!(local.hub.twin(DEVICE).unwrap()["properties"]["reported"]["n"], 49);
}

#[test]
fn what_was_done_is_counted() {
    let local = Local::start();
    let device = Recorded::connected(local.config(DEVICE));
    wait(device.client.send(&Message::new("m")).unwrap()).unwrap();
    local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
    let cause = device.fault().cause.unwrap();
    device.until(iothub_mqtt::ConnectionState::Connected);
    wait(device.client.send(&Message::new("m")).unwrap()).unwrap();
    let stats = device.client.stats();
    assert_eq!((stats.sent, stats.acknowledged, stats.resent), (2, 2, 0));
    assert_eq!((stats.connections, stats.disconnects(cause), stats.queued), (2, 1, 0));
    assert!(stats.last_round_trip.is_some());
}
