//! Programs that need nothing but a hub.

use std::path::Path;

use iothub_emulator::CloudMessage;

use crate::build::{LANGUAGES, Language, Link, compile, library};
use crate::lab::{DEVICE, Lab};
use crate::run::{Running, Under, every_way, passes};

#[test]
fn null_arguments() {
    passes("null_arguments", &[]);
}

#[test]
fn text() {
    passes("text", &[]);
}

#[test]
fn message() {
    passes("message", &[]);
}

#[test]
fn refused() {
    passes("refused", &[]);
}

#[test]
fn offline() {
    passes("offline", &[]);
}

#[test]
fn two_clients() {
    passes("two_clients", &[]);
}

#[test]
fn log() {
    passes("log", &[]);
}

#[test]
fn fork() {
    every_way("fork", |lab, program, under| {
        // In a child the stacks of the parent's threads are gone, and what they hold counts as lost.
        Running::start(program, &[], under.without_leaks(), lab, &[]).end();
    });
}

#[test]
fn free_inside() {
    let places = [
        "status",
        "message",
        "done",
        "free_fn",
        "before",
        "while connecting",
        "while a callback runs",
        "during close",
        "after close",
        "another client",
    ];
    every_way("free_inside", |_, program, under| {
        for place in places {
            let lab = Lab::new();
            lab.hub.send_c2d(DEVICE, CloudMessage::new("to be received")).unwrap();
            Running::start(program, &[], under, &lab, &[("FREE_IN", place.to_owned())]).end();
        }
    });
}

/// Loaded by the program itself, so not linked.
#[test]
fn load() {
    for language in LANGUAGES {
        let program = compile("load", language, Link::Nothing);
        let library = library().join("libiothub_mqtt.so").display().to_string();
        for under in [Under::Nothing, Under::Valgrind] {
            Running::start(&program, &[], under, &Lab::new(), &[("LIBRARY", library.clone())]).end();
        }
    }
}

fn in_order(lab: &Lab, program: &Path, under: Under) {
    Running::start(program, &[], under, lab, &[]).end();
    let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(lab.bodies(), expected);
}

#[test]
fn order() {
    every_way("order", in_order);
}

#[test]
fn linked_statically() {
    in_order(&Lab::new(), &compile("order", Language::C, Link::Static), Under::Nothing);
}
