//! What the application, the network and the server do, at random.

use iothub_mqtt::mqtt::{Drain, Limits};
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) setup: Setup,
    pub(crate) ops: Vec<Op>,
}

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) keep_alive: u16,
    pub(crate) pipelined: bool,
    /// Ends by closing the session instead of by delivering everything.
    pub(crate) closes: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Publish {
        extra: usize,
        at_least_once: bool,
        ttl: Option<u64>,
    },
    /// A message that waits for no other.
    PublishUrgent {
        at_least_once: bool,
    },
    Subscribe {
        filter: usize,
        qos: u8,
    },
    Unsubscribe {
        filter: usize,
    },
    /// The application acknowledges one of the last messages that it got.
    Acknowledge {
        back: usize,
    },
    /// The network takes so many bytes.
    Write(usize),
    /// The server reads so many bytes.
    Serve(usize),
    /// The server gives so many of its answers, the first of them out of turn or not.
    Answer {
        count: usize,
        skip: usize,
    },
    /// The network brings so many bytes.
    Deliver(usize),
    /// Everything moves until nothing does, without an answer or with all.
    Settle {
        answers: bool,
    },
    /// The server has a message for the device.
    Message {
        qos: u8,
    },
    Advance {
        seconds: u64,
        /// The host looks at its clock only at the end.
        late: bool,
    },
    Connect {
        clean: bool,
        /// The server has forgotten the session.
        forgotten: bool,
        refused: bool,
        /// Though a connection is open, and without a stop.
        rude: bool,
    },
    Drop {
        /// The server still reads what was on its way.
        arrives: bool,
    },
    Disconnect(Drain),
    Hostile(usize),
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..40usize, 2_000..100_000usize, 1..8usize, 50..20_000usize).prop_map(
        |(messages, bytes, in_flight, in_flight_bytes)| Limits {
            messages,
            bytes,
            in_flight,
            in_flight_bytes,
        },
    )
}

fn setup() -> impl Strategy<Value = Setup> {
    (limits(), prop_oneof![Just(0u16), Just(10), Just(60)], any::<bool>(), prop::bool::weighted(0.3))
        .prop_map(|(limits, keep_alive, pipelined, closes)| Setup { limits, keep_alive, pipelined, closes })
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..200usize, 2 => 0..5_000usize, 1 => 50_000..90_000usize]
}

fn count() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 1..10usize, 2 => 1..300usize, 3 => Just(usize::MAX)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (size(), prop::bool::weighted(0.8), prop::option::weighted(0.2, 0..60u64))
            .prop_map(|(extra, at_least_once, ttl)| Op::Publish { extra, at_least_once, ttl }),
        4 => any::<bool>().prop_map(|at_least_once| Op::PublishUrgent { at_least_once }),
        4 => (0..4usize, 0..3u8).prop_map(|(filter, qos)| Op::Subscribe { filter, qos }),
        3 => (0..4usize).prop_map(|filter| Op::Unsubscribe { filter }),
        10 => (0..6usize).prop_map(|back| Op::Acknowledge { back }),
        14 => count().prop_map(Op::Write),
        12 => count().prop_map(Op::Serve),
        12 => (count(), prop_oneof![4 => Just(0usize), 1 => 0..4usize])
            .prop_map(|(count, skip)| Op::Answer { count, skip }),
        12 => count().prop_map(Op::Deliver),
        6 => any::<bool>().prop_map(|answers| Op::Settle { answers }),
        6 => (0..3u8).prop_map(|qos| Op::Message { qos }),
        4 => (0..90u64, any::<bool>()).prop_map(|(seconds, late)| Op::Advance { seconds, late }),
        10 => connect(),
        3 => any::<bool>().prop_map(|arrives| Op::Drop { arrives }),
        2 => prop_oneof![Just(Drain::Now), Just(Drain::InFlight), Just(Drain::Everything)]
            .prop_map(Op::Disconnect),
        1 => (0..100usize).prop_map(Op::Hostile),
    ]
}

fn connect() -> impl Strategy<Value = Op> {
    let chances = [0.1, 0.25, 0.1, 0.05].map(prop::bool::weighted);
    chances.prop_map(|[clean, forgotten, refused, rude]| Op::Connect { clean, forgotten, refused, rude })
}

pub(crate) fn program(most: usize) -> impl Strategy<Value = Program> {
    (setup(), prop::collection::vec(op(), 0..most)).prop_map(|(setup, ops)| Program { setup, ops })
}
