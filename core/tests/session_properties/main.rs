//! Random programs of an application, a network and a server against one session.
//!
//! The server keeps real MQTT session state; the ledger knows what was accepted and checks every
//! byte and every event. `PROPTEST_CASES` sets the number of programs for a soak.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ledger;
mod program;
mod server;
mod world;

use std::time::Instant;

use bytes::BytesMut;
use iothub_mqtt::mqtt::{Connect, Publish, QoS, Session, Settings};
use proptest::prelude::*;
use proptest::test_runner::Config;

use program::{Program, program};
use world::World;

fn config(cases: u32) -> Config {
    let default = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { cases };
    Config { cases, failure_persistence: None, ..default }
}

fn run(program: Program, warm_up: u32) {
    let mut world = World::new(&program.setup, warm_up);
    for op in program.ops {
        world.step(&op);
    }
    world.finish(program.setup.closes);
}

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn every_accepted_operation_ends_once_in_order_whatever_happens(program in program(120)) {
        run(program, 0);
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn the_same_holds_while_packet_ids_wrap(program in program(120), left in 0..30u32) {
        run(program, 65_535 - left);
    }

    #[test]
    fn the_same_holds_in_long_programs(program in program(3_000)) {
        run(program, 0);
    }
}

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn arbitrary_bytes_do_no_harm(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..12),
        greeted: bool,
    ) {
        let now = Instant::now();
        let mut session = Session::new(Settings::default(), now);
        session.start(&Connect { client_id: "d".into(), ..Connect::default() }, now).unwrap();
        let mut stream = BytesMut::new();
        if greeted {
            stream.extend_from_slice(&[0x20, 2, 0, 0]);
        }
        session.input(&mut stream, now).unwrap();
        let publish = Publish { topic: "t", payload: b"p", qos: QoS::AtLeastOnce, retain: false };
        for tag in 0..5 {
            session.publish(&publish, None, tag).unwrap();
        }
        for piece in pieces {
            session.output(&mut BytesMut::new(), now);
            stream.extend_from_slice(&piece);
            if session.input(&mut stream, now).is_err() {
                break;
            }
        }
        session.stop();
        session.close();
        let mut done: Vec<_> = session
            .take_events()
            .into_iter()
            .filter_map(|event| match event {
                iothub_mqtt::mqtt::Event::Done { tag, .. } => Some(tag),
                _ => None,
            })
            .collect();
        done.sort_unstable();
        prop_assert_eq!(done, [0, 1, 2, 3, 4]);
    }
}
