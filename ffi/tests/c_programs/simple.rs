//! Programs that need nothing but a hub.

use std::path::Path;

use crate::build::{Language, Link, compile};
use crate::lab::Lab;
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
