//! What a session has done so far, for who watches a device.

use std::time::Duration;

/// Counts from the making of the session; they only grow. What is urgent is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that were written to a connection, each once.
    pub sent: u64,
    /// Messages that the server acknowledged.
    pub acknowledged: u64,
    /// Messages that were written again, on a later connection.
    pub resent: u64,
    /// Messages whose time to live ended first.
    pub expired: u64,
    /// From the writing of a message or a ping to its answer, of those that were timed last.
    pub last_round_trip: Option<Duration>,
}
