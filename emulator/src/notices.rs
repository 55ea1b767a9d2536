//! What back-ends are told, of messages and of files: one notice at a time, locked while its
//! completion is awaited. Pure: the time is given.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How many wait; the oldest go first.
const MAX_WAITING: usize = 10_000;
/// IoT Hub's defaults: how long a notice waits to be completed before it is received again, and how
/// long it is kept.
const LOCK: Duration = Duration::from_secs(60);
const LIFE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Notice {
    document: Value,
    sequence: u64,
    at: Timestamp,
    deliveries: u32,
    lock: Option<(String, Timestamp)>,
}

impl Notice {
    fn is_locked(&self, now: Timestamp) -> bool {
        self.lock.as_ref().is_some_and(|(_, until)| *until > now)
    }
}

/// A notice as a back-end receives it.
#[derive(Debug, PartialEq)]
pub(crate) struct Received {
    pub(crate) document: Value,
    pub(crate) sequence: u64,
    pub(crate) enqueued: Timestamp,
    /// Of this notice, this one included.
    pub(crate) deliveries: u32,
}

#[derive(Debug)]
pub(crate) struct Notices {
    waiting: VecDeque<Notice>,
    last_sequence: u64,
    max_deliveries: u32,
}

impl Notices {
    /// A notice is dropped when it has been received `max_deliveries` times in vain.
    pub(crate) fn new(max_deliveries: u32) -> Self {
        Self { waiting: VecDeque::new(), last_sequence: 0, max_deliveries }
    }

    pub(crate) fn push(&mut self, document: Value, at: Timestamp) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.last_sequence += 1;
        self.waiting.push_back(Notice {
            document,
            sequence: self.last_sequence,
            at,
            deliveries: 0,
            lock: None,
        });
    }

    /// Whether there is one to receive.
    pub(crate) fn has_ready(&mut self, now: Timestamp) -> bool {
        let max_deliveries = self.max_deliveries;
        self.waiting.retain(|notice| {
            notice.is_locked(now) || is_fresh(notice.at, now) && notice.deliveries < max_deliveries
        });
        self.waiting.iter().any(|notice| !notice.is_locked(now))
    }

    /// The oldest notice that is not locked, locked under `token`.
    pub(crate) fn receive(&mut self, token: String, now: Timestamp) -> Option<Received> {
        if !self.has_ready(now) {
            return None;
        }
        let notice = self.waiting.iter_mut().find(|notice| !notice.is_locked(now))?;
        notice.deliveries += 1;
        notice.lock = Some((token, now.checked_add(LOCK).unwrap_or(Timestamp::MAX)));
        Some(Received {
            document: notice.document.clone(),
            sequence: notice.sequence,
            enqueued: notice.at,
            deliveries: notice.deliveries,
        })
    }

    /// Ends a notice; false where the lock is over.
    pub(crate) fn complete(&mut self, token: &str, now: Timestamp) -> bool {
        self.locked(token, now).and_then(|index| self.waiting.remove(index)).is_some()
    }

    /// Lets a notice be received again; false where the lock is over.
    pub(crate) fn abandon(&mut self, token: &str, now: Timestamp) -> bool {
        let Some(notice) = self.locked(token, now).and_then(|index| self.waiting.get_mut(index)) else {
            return false;
        };
        notice.lock = None;
        true
    }

    fn locked(&self, token: &str, now: Timestamp) -> Option<usize> {
        self.waiting.iter().position(|notice| {
            notice.is_locked(now) && notice.lock.as_ref().is_some_and(|(known, _)| known == token)
        })
    }
}

/// Whether what was made at `at` is still kept.
pub(crate) fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < SignedDuration::try_from(LIFE).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MAX_DELIVERIES: u32 = 10;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_notice_is_locked_until_it_is_settled() {
        let mut notices = Notices::new(MAX_DELIVERIES);
        notices.push(1.into(), at(0));
        notices.push(2.into(), at(1));
        let receive = |notices: &mut Notices, token: &str, now| {
            let received = notices.receive(token.to_owned(), at(now));
            received.map(|r| (r.document.as_u64().unwrap(), r.sequence, r.deliveries))
        };
        assert_eq!(receive(&mut notices, "a", 2), Some((1, 1, 1)));
        assert_eq!(receive(&mut notices, "b", 2), Some((2, 2, 1)));
        assert_eq!(receive(&mut notices, "c", 2), None);
        assert!(notices.complete("b", at(3)) && !notices.complete("b", at(3)));
        assert!(notices.abandon("a", at(3)) && !notices.abandon("a", at(3)));
        assert_eq!(receive(&mut notices, "d", 3), Some((1, 1, 2)));
        assert!(!notices.complete("d", at(63)), "the lock is over");
        assert_eq!(receive(&mut notices, "e", 63), Some((1, 1, 3)));
        assert_eq!(receive(&mut notices, "f", 3600), None, "its life is over");
    }

    #[test]
    fn a_notice_that_nobody_completes_is_dropped() {
        let mut notices = Notices::new(MAX_DELIVERIES);
        notices.push(1.into(), at(0));
        for number in 0..MAX_DELIVERIES {
            let token = number.to_string();
            assert!(notices.receive(token.clone(), at(1)).is_some());
            assert!(notices.abandon(&token, at(1)));
        }
        assert_eq!(notices.receive("more".into(), at(1)), None);
    }
}
