//! Many messages through a connection that breaks at random moments.

use std::path::Path;

use iothub_emulator::Fault;

use crate::build::{LANGUAGES, Link, compile};
use crate::lab::{DEVICE, Lab, PATIENCE};
use crate::run::{Running, Under};

/// What the hub saw.
struct Seen {
    connections: usize,
    duplicates: usize,
}

fn cut_while_sending(program: &Path, count: usize, cuts: usize, seed: u64) -> Seen {
    let lab = Lab::new();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut moments: Vec<usize> = std::iter::repeat_with(|| random.usize(1..count * 9 / 10)).take(cuts).collect();
    moments.sort_unstable_by(|a, b| b.cmp(a));
    let running = Running::start(program, &[&count.to_string()], Under::Nothing, &lab, &[]);
    // Since the first arrival of each message is in order, the next one that is new is this.
    let (mut next, mut seen) = (0, Seen { connections: 0, duplicates: 0 });
    while next < count {
        let event = lab.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nothing after {next}"));
        if event["event"] == "connected" {
            seen.connections += 1;
        }
        if event["event"] != "telemetry" {
            continue;
        }
        let body = event["body"].as_str().unwrap();
        assert_eq!(body.len(), 256);
        let number: usize = body[..8].parse().unwrap();
        assert!(number <= next, "{number} came before {next}");
        if number < next {
            seen.duplicates += 1;
            continue;
        }
        next += 1;
        if moments.pop_if(|moment| *moment <= next).is_some() {
            // Half of them lose the session, so that the hub has forgotten what it has not acknowledged.
            let kind = if moments.len() % 2 == 0 { "lose_session" } else { "drop" };
            lab.hub.fault(&Fault::new(kind, DEVICE)).unwrap();
        }
    }
    let said = running.end();
    println!("{said:?}");
    seen.duplicates += lab.bodies().len();
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
