//! Messages from the cloud.

use std::path::Path;
use std::time::Duration;

use iothub_emulator::{CloudMessage, Fault};
use serde_json::{Value, json};

use crate::lab::{DEVICE, Lab, PATIENCE};
use crate::run::{Running, Under, every_way, passes_with};

/// Waits until the hub takes this message as processed.
pub(crate) fn settled(lab: &Lab, message_id: &str) {
    let event = std::iter::repeat_with(|| lab.event("c2d")).find(|event| event["state"] == "completed");
    assert_eq!(event.unwrap()["message_id"], message_id);
}

#[test]
fn c2d() {
    every_way("c2d", |lab, program, under| {
        let send = |body: &'static str, id: &str| {
            let message = CloudMessage::new(body).with_id(id);
            let message = message.with_property("grad", Some("21 °C & more=/")).with_property("null", None);
            lab.hub.send_c2d(DEVICE, message).unwrap();
        };
        send("now", "id-now");
        send("later", "id-later");
        let mut running = Running::start(program, &[], under, lab, &[]);
        running.hear("received");
        settled(lab, "id-now");
        running.say("go on");
        settled(lab, "id-later");
        send("later", "id-cut");
        running.hear("received");
        lab.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
        running.hear("received");
        running.say("cut");
        settled(lab, "id-cut");
        send("wrong", "id-wrong");
        running.say("wrong");
        settled(lab, "id-wrong");
        running.say("end");
        running.end();
        assert!(lab.events.try_iter().all(|event| event["state"] != "completed"));
    });
}

#[test]
fn callbacks() {
    passes_with("callbacks", |lab| {
        for body in ["one", "two"] {
            lab.hub.send_c2d(DEVICE, CloudMessage::new(body)).unwrap();
        }
    });
}

#[test]
fn twin() {
    every_way("twin", |lab, program, under| {
        lab.hub.update_desired(DEVICE, &json!({"interval": 5})).unwrap();
        let mut running = Running::start(program, &[], under, lab, &[]);
        running.hear("change");
        lab.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
        lab.event("disconnected");
        lab.hub.update_desired(DEVICE, &json!({"interval": 7, "old": [1]})).unwrap();
        running.hear("deaf");
        lab.hub.fault(&Fault::new("half_open", DEVICE)).unwrap();
        running.say("deaf");
        running.end();
    });
}

#[test]
fn method() {
    every_way("method", |lab, program, under| {
        let mut running = Running::start(program, &[], under, lab, &[]);
        let hub = &lab.hub;
        let call = |name: &str, payload: Option<Value>| {
            hub.call_method(DEVICE, name, payload.as_ref(), PATIENCE, PATIENCE).unwrap()
        };
        running.hear("ready");
        assert_eq!(call("now", Some(json!({"delay": 5}))), (200, json!({"ok": true})));
        assert_eq!(call("valve*close", None), (202, Value::Null));
        running.hear("called");
        std::thread::scope(|scope| {
            let caller = scope.spawn(|| call("valve*close", None));
            running.hear("called");
            lab.hub.fault(&Fault::new("drop_and_lose_session", DEVICE)).unwrap();
            lab.event("disconnected");
            running.say("reconnect");
            assert_eq!(caller.join().unwrap(), (200, json!("late")));
        });
        let brief = Duration::from_millis(500);
        let unanswered = lab.hub.call_method(DEVICE, "valve*close", None, PATIENCE, brief);
        assert_eq!(unanswered.unwrap_err().status, 504);
        running.hear("no handler");
        assert_eq!(call("valve*close", None).0, 404);
        running.say("end");
        running.end();
    });
}

/// What the programs of a module have to do in every language.
pub(crate) fn of_a_module(lab: &Lab, program: &Path, under: Under) {
    let mut running = Running::start(program, &[], under, lab, &[]);
    running.hear("ready");
    for _ in 0..2 {
        let message = CloudMessage::new("frame").with_property("camera", Some("left & right"));
        lab.hub.send_input("device/module", "frames in", message).unwrap();
    }
    running.end();
    let seen = lab.event("telemetry");
    assert_eq!((&seen["module"], &seen["body"]), (&"module".into(), &"seen".into()));
    assert_eq!(seen["system"]["output-name"], "results");
}

#[test]
fn module() {
    every_way("module", of_a_module);
}
