//! Messages from the cloud.

use iothub_emulator::{CloudMessage, Fault};

use crate::lab::{DEVICE, Lab};
use crate::run::{Running, every_way, passes_with};

fn settled(lab: &Lab, message_id: &str) {
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
