//! The keep-alive clock of one connection (MQTT 3.1.1 section 3.1.2.10).

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::packet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ping {
    Idle,
    /// To be written with the next output.
    Due,
    /// In the host's buffer.
    Written,
    Sent(Instant),
}

pub(super) struct KeepAlive {
    /// Zero switches the pings off.
    interval: Duration,
    timeout: Duration,
    ping: Ping,
    last_in: Instant,
    last_out: Instant,
}

impl KeepAlive {
    pub(super) fn new(timeout: Duration, now: Instant) -> Self {
        Self { interval: Duration::ZERO, timeout, ping: Ping::Idle, last_in: now, last_out: now }
    }

    pub(super) fn start(&mut self, interval: Duration, now: Instant) {
        *self = Self { interval, ..Self::new(self.timeout, now) };
    }

    /// Any byte is a sign of life, not just a PINGRESP. Returns how long a ping took to be answered.
    pub(super) fn received(&mut self, now: Instant) -> Option<Duration> {
        self.last_in = now;
        let Ping::Sent(at) = self.ping else { return None };
        self.ping = Ping::Idle;
        Some(now.saturating_duration_since(at))
    }

    pub(super) fn wrote(&mut self, now: Instant) {
        self.last_out = now;
    }

    pub(super) fn flushed(&mut self, now: Instant) {
        if self.ping == Ping::Written {
            self.ping = Ping::Sent(now);
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.ping == Ping::Due
    }

    pub(super) fn write(&mut self, out: &mut BytesMut) {
        if self.ping == Ping::Due {
            out.extend_from_slice(&packet::PINGREQ);
            self.ping = Ping::Written;
        }
    }

    /// The next PINGREQ, or the end of the wait for its answer. `None` while a PINGREQ waits to
    /// leave: then the host watches whether the stream takes anything at all.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.ping {
            Ping::Sent(at) => at.checked_add(self.timeout),
            // Either direction may fall silent alone: a server that only sends still wants to hear us.
            Ping::Idle if !self.interval.is_zero() => {
                self.last_in.min(self.last_out).checked_add(self.interval)
            }
            Ping::Idle | Ping::Due | Ping::Written => None,
        }
    }

    /// Returns whether the server is to be given up.
    pub(super) fn timer(&mut self, now: Instant) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let dead = matches!(self.ping, Ping::Sent(_));
        if !dead {
            self.ping = Ping::Due;
        }
        dead
    }
}
