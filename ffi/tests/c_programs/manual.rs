//! Programs whose own loop does the I/O.

use iothub_emulator::CloudMessage;

use crate::lab::DEVICE;
use crate::run::{Running, every_way};

#[test]
fn manual() {
    every_way("manual", |lab, program, under| {
        lab.hub.send_c2d(DEVICE, CloudMessage::new("hello")).unwrap();
        // A child that is killed has freed nothing.
        Running::start(program, &[], under.without_leaks(), lab, &[]).end();
    });
}
