//! The bounds of the outbox, and what counts against them.

use crate::error::{Error, ErrorKind, Result};

/// Bounds of the outbox.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Messages that may wait, 1 to 65,000.
    pub messages: usize,
    /// Bytes of encoded messages that may wait.
    pub bytes: usize,
    /// Messages that may be sent and not yet acknowledged.
    pub in_flight: usize,
    /// Bytes that may be sent and not yet acknowledged; one message may always be.
    pub in_flight_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages: 1_000, bytes: 16 << 20, in_flight: 100, in_flight_bytes: 4 << 20 }
    }
}

impl Limits {
    /// What is urgent has bounds of its own: a full queue of messages must not keep the client from
    /// listening and answering.
    pub(super) const URGENT: Self =
        Self { messages: 1_000, bytes: 16 << 20, in_flight: usize::MAX, in_flight_bytes: usize::MAX };

    /// Whether `size` more bytes may wait beside `waiting`.
    pub(super) fn check(&self, waiting: Load, size: usize) -> Result<()> {
        let Self { messages, bytes, .. } = *self;
        if size > bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{size} bytes; the outbound queue takes {bytes}"),
            ));
        }
        if waiting.count >= messages {
            return Err(Error::new(
                ErrorKind::Full,
                format!("the outbound queue holds its {messages} entries"),
            ));
        }
        if waiting.bytes > bytes - size {
            return Err(Error::new(
                ErrorKind::Full,
                format!("the outbound queue holds {} of its {bytes} bytes", waiting.bytes),
            ));
        }
        Ok(())
    }

    /// Whether `size` more bytes may be in flight beside `in_flight`.
    pub(super) fn window_takes(&self, in_flight: Load, size: usize) -> bool {
        in_flight.count == 0
            || in_flight.count < self.in_flight
                && in_flight.bytes.saturating_add(size) <= self.in_flight_bytes
    }
}

/// A number of entries and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub count: usize,
    pub bytes: usize,
}

impl Load {
    pub(super) fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        self.count -= 1;
        self.bytes -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { messages: 2, bytes: 100, in_flight: 2, in_flight_bytes: 50 };

    #[test]
    fn the_queue_takes_what_fits_and_says_what_does_not() {
        let kind = |count, bytes, size| LIMITS.check(Load { count, bytes }, size).map_err(|e| e.kind());
        assert_eq!(kind(0, 0, 100), Ok(()));
        assert_eq!(kind(1, 60, 40), Ok(()));
        assert_eq!(kind(1, 60, 41), Err(ErrorKind::Full));
        assert_eq!(kind(2, 2, 1), Err(ErrorKind::Full));
        assert_eq!(kind(0, 0, 101), Err(ErrorKind::TooLarge));
        assert_eq!(kind(0, 0, usize::MAX), Err(ErrorKind::TooLarge));
    }

    #[test]
    fn the_window_always_takes_one_and_never_passes_its_bytes() {
        let takes = |count, bytes, size| LIMITS.window_takes(Load { count, bytes }, size);
        assert!(takes(0, 0, 1_000));
        assert!(takes(1, 20, 30));
        assert!(!takes(1, 20, 31));
        assert!(!takes(2, 2, 1));
    }
}
