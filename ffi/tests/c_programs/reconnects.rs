//! Many messages through a connection that breaks at random moments.

use std::path::Path;

use iothub_emulator::Fault;

use crate::build::{LANGUAGES, Link, compile};
use crate::lab::{DEVICE, Lab};
use crate::run::{Running, Under};

/// What the hub saw.
struct Seen {
    connections: usize,
    duplicates: usize,
}

fn cut_while_sending(program: &Path, count: usize, cuts: usize, seed: u64) -> Seen {
    let lab = Lab::new();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut moments = std::collections::BTreeSet::new();
    while moments.len() < cuts {
        moments.insert(random.usize(1..count));
    }
    let arguments: Vec<String> =
        std::iter::once(count).chain(moments).map(|number| number.to_string()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut running = Running::start(program, &arguments, Under::Nothing, &lab, &[]);
    for cut in 0..cuts {
        running.hear("cut");
        // Half of them lose the session, so that the hub has forgotten what it has not acknowledged.
        let kind = if cut % 2 == 0 { "lose_session" } else { "drop" };
        lab.hub.fault(&Fault::new(kind, DEVICE)).unwrap();
    }
    println!("{}", running.end().last().unwrap());

    // The first arrival of each message is in order, so the next one that is new is this.
    let mut next = 0;
    let mut seen = Seen { connections: 0, duplicates: 0 };
    for event in lab.events.try_iter() {
        seen.connections += usize::from(event["event"] == "connected");
        if event["event"] == "telemetry" {
            let body = event["body"].as_str().unwrap();
            assert_eq!(body.len(), 256);
            let number: usize = body[..8].parse().unwrap();
            assert!(number <= next, "{number} came before {next}");
            seen.duplicates += usize::from(number < next);
            next += usize::from(number == next);
        }
    }
    assert_eq!(next, count, "messages are lost");
    seen
}

/// 5,000 messages and 6 cuts; with IOTHUB_SOAK 100,000 and 20. IOTHUB_SEED repeats a run.
#[test]
fn reconnects() {
    let soak = std::env::var_os("IOTHUB_SOAK").is_some();
    let (count, cuts) = if soak { (100_000, 20) } else { (5_000, 6) };
    let seed = std::env::var("IOTHUB_SEED").ok().map(|seed| seed.parse().unwrap());
    for language in LANGUAGES {
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("{count} messages, {cuts} cuts, IOTHUB_SEED={seed}");
        let seen = cut_while_sending(&compile("reconnects", language, Link::Shared), count, cuts, seed);
        println!("{} connections, {} duplicates", seen.connections, seen.duplicates);
        assert!(seen.connections > cuts / 2, "the cuts were not felt");
    }
}
