//! Programs whose own loop does the I/O.

use std::net::TcpListener;

use iothub_emulator::{CloudMessage, Fault};

use crate::lab::{DEVICE, Lab};
use crate::run::{Running, every_way};

#[test]
fn manual() {
    every_way("manual", |lab, program, under| {
        lab.hub.send_c2d(DEVICE, CloudMessage::new("hello")).unwrap();
        // A child that is killed has freed nothing.
        Running::start(program, &[], under.without_leaks(), lab, &[]).end();
    });
}

#[test]
fn manual_free() {
    let places = [
        "status",
        "message",
        "done",
        "free_fn",
        "before",
        "while connecting",
        "while reconnecting",
        "after a refusal",
        "connected",
        "during close",
        "after close",
        "while another thread is inside",
        "while a callback runs",
        "another client",
    ];
    every_way("manual_free", |_, program, under| {
        // Closed again, and given to nobody else so soon.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for place in places {
            let lab = Lab::new();
            lab.hub.send_c2d(DEVICE, CloudMessage::new("to be received")).unwrap();
            let more = [("FREE_IN", place.to_owned()), ("CLOSED_PORT", closed.to_string())];
            let mut running = Running::start(program, &[], under, &lab, &more);
            if place == "connected" {
                running.hear("connected");
                assert!(lab.hub.is_connected(DEVICE));
                running.say("free");
                let event = lab.event("disconnected");
                assert_eq!(event["code"], "client", "not a goodbye: {event}");
            }
            running.end();
        }
    });
}

#[test]
fn manual_network() {
    every_way("manual_network", |_, program, under| {
        let certs = tempfile::tempdir().unwrap();
        let options = Lab::lasting(certs.path());
        let mut lab = Lab::with(options.clone());
        let mut running = Running::start(program, &[], under, &lab, &[]);
        for how in ["drop", "lose_session", "restart", "drop"] {
            running.hear(how);
            if how == "restart" {
                lab = lab.restart(options.clone());
            } else {
                lab.hub.fault(&Fault::new(how, DEVICE)).unwrap();
            }
            running.say("cured");
        }
        running.end();
    });
}
