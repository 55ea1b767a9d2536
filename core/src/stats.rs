//! What a client has done so far, for who watches a fleet.

use std::time::Duration;

use crate::io::Cause;
use crate::mqtt::Counters;

/// Counts since the client was made, and what it holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Messages that were written to a connection, each counted once.
    pub sent: u64,
    /// Messages that the hub acknowledged.
    pub acknowledged: u64,
    /// Messages that were written again on a later connection.
    pub resent: u64,
    /// Messages whose time to live ended first.
    pub expired: u64,
    /// Messages that were given up because the client was closed.
    pub dropped: u64,
    /// Operations that have not completed now.
    pub queued: usize,
    /// Bytes that they hold.
    pub queued_bytes: usize,
    /// Connections that the hub accepted.
    pub connections: u64,
    /// From the writing of a message or a ping to its answer, of those that were timed last.
    pub last_round_trip: Option<Duration>,
    disconnects: [u64; Cause::ALL.len()],
}

impl Stats {
    pub(crate) fn new(counters: Counters, queued: (usize, usize), link: &LinkCounters) -> Self {
        Self {
            sent: counters.sent,
            acknowledged: counters.acknowledged,
            resent: counters.resent,
            expired: counters.expired,
            dropped: link.dropped,
            queued: queued.0,
            queued_bytes: queued.1,
            connections: link.connections,
            last_round_trip: counters.last_round_trip,
            disconnects: link.disconnects,
        }
    }

    /// Connections that ended, or could not be made, for this cause.
    pub fn disconnects(&self, cause: Cause) -> u64 {
        self.disconnects[cause.index()]
    }
}

/// What the connection counts itself.
#[derive(Debug, Default)]
pub(crate) struct LinkCounters {
    pub connections: u64,
    pub dropped: u64,
    disconnects: [u64; Cause::ALL.len()],
}

impl LinkCounters {
    pub(crate) fn disconnected(&mut self, cause: Cause) {
        self.disconnects[cause.index()] += 1;
    }
}
