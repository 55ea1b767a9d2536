//! How the faults of a live connection bend its reading and writing. Pure: the time is given.

use std::time::{Duration, Instant};

use crate::faults::{Armed, FaultKind};

/// A slow reader's pause, and what it reads between two pauses.
const SLOW_PAUSE: Duration = Duration::from_millis(10);
const SLOW_BYTES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Disruption {
    half_open: Option<Period>,
    delay: Option<Instant>,
    slow: Option<Instant>,
    slow_pause: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Period {
    Until(Instant),
    Forever,
}

impl Disruption {
    /// Starts a fault that lasts.
    pub(super) fn start(&mut self, armed: &Armed) {
        match armed.kind {
            FaultKind::HalfOpen => {
                self.half_open = Some(armed.until().map_or(Period::Forever, Period::Until))
            }
            FaultKind::Delay => self.delay = armed.until(),
            FaultKind::SlowReader => self.slow = armed.until(),
            _ => {}
        }
    }

    pub(super) fn is_half_open(&self, now: Instant) -> bool {
        match self.half_open {
            None => false,
            Some(Period::Forever) => true,
            Some(Period::Until(until)) => now < until,
        }
    }

    /// Whether a half-open time has just ended: whatever the client sent in it is still unread.
    pub(super) fn has_reopened(&mut self, now: Instant) -> bool {
        let ended = matches!(self.half_open, Some(Period::Until(until)) if until <= now);
        if ended {
            self.half_open = None;
        }
        ended
    }

    pub(super) fn may_read(&self, now: Instant) -> bool {
        !self.is_half_open(now) && self.slow_pause.is_none_or(|until| now >= until)
    }

    pub(super) fn may_write(&self, now: Instant) -> bool {
        !self.is_half_open(now) && self.delay.is_none_or(|until| now >= until)
    }

    /// The most that may be read at once.
    pub(super) fn read_limit(&self, now: Instant) -> Option<usize> {
        self.slow.filter(|until| now < *until).map(|_| SLOW_BYTES)
    }

    pub(super) fn has_read(&mut self, now: Instant) {
        self.slow_pause = self.read_limit(now).map(|_| now + SLOW_PAUSE);
    }

    /// When reading or writing may be allowed again.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let half_open = match self.half_open {
            Some(Period::Until(until)) => Some(until),
            _ => None,
        };
        [half_open, self.delay, self.slow_pause].into_iter().flatten().filter(|at| *at > now).min()
    }
}
