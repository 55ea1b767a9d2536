//! One kind of fault, again and again while a scenario is played.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use iothub_emulator::{Fault, Hub};

/// The kinds that may come at any time. Each is something that a device in the field has to live with.
pub(crate) const KINDS: [&str; 10] = [
    "drop",
    "lose_session",
    "delay",
    "slow_reader",
    "half_open",
    "throttle",
    "truncate",
    "corrupt",
    "expire",
    "take_over",
];

/// How long a fault lasts, of those that do.
fn time(kind: &str) -> Option<Duration> {
    let ms = match kind {
        "delay" => 40,
        "slow_reader" => 150,
        "half_open" => 120,
        "throttle" => 60,
        _ => return None,
    };
    Some(Duration::from_millis(ms))
}

#[derive(Debug)]
pub(crate) struct Storm {
    stop: Sender<()>,
    thread: JoinHandle<usize>,
}

impl Storm {
    /// The times between the faults grow, so that every scenario comes to its end.
    pub(crate) fn start(kind: &'static str, hub: Arc<Hub>, seed: u64) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut pause = 2.0;
            let mut count = 0;
            loop {
                let wait = Duration::from_secs_f64(pause * (0.5 + random.f64()) / 1000.0);
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return count;
                }
                pause = (pause * 1.3_f64).min(2000.0);
                let mut fault = Fault::new(kind, "*");
                if let Some(time) = time(kind) {
                    fault = fault.for_time(time).count(if kind == "throttle" { 3 } else { 1 });
                }
                hub.fault(&fault).unwrap();
                count += 1;
            }
        });
        Self { stop, thread }
    }

    /// How many there were.
    pub(crate) fn end(self) -> usize {
        drop(self.stop);
        self.thread.join().unwrap_or(0)
    }
}
