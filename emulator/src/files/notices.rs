//! What back-ends are told of uploaded files: one notice at a time, locked while its completion is
//! awaited. Pure: the time is given.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How many wait; the oldest go first.
const MAX_WAITING: usize = 10_000;
/// IoT Hub's defaults: how long a notice waits to be completed before it is received again, how
/// long it is kept, and how often it is received before it is dropped.
const LOCK: Duration = Duration::from_secs(60);
const LIFE: Duration = Duration::from_secs(3600);
const MAX_DELIVERIES: u32 = 100;

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
    /// Of this notice, this one included.
    pub(crate) deliveries: u32,
}

#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: VecDeque<Notice>,
    last_sequence: u64,
}

impl Notices {
    pub(super) fn push(&mut self, document: Value, at: Timestamp) {
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

    /// The oldest notice that is not locked, locked under `token`.
    pub(super) fn receive(&mut self, token: String, now: Timestamp) -> Option<Received> {
        let life = SignedDuration::try_from(LIFE).unwrap_or(SignedDuration::MAX);
        self.waiting.retain(|notice| {
            notice.is_locked(now)
                || now.duration_since(notice.at) < life && notice.deliveries < MAX_DELIVERIES
        });
        let notice = self.waiting.iter_mut().find(|notice| !notice.is_locked(now))?;
        notice.deliveries += 1;
        notice.lock = Some((token, now.checked_add(LOCK).unwrap_or(Timestamp::MAX)));
        let Notice { document, sequence, deliveries, .. } = notice;
        Some(Received { document: document.clone(), sequence: *sequence, deliveries: *deliveries })
    }

    /// Ends a notice; false where the lock is over.
    pub(super) fn complete(&mut self, token: &str, now: Timestamp) -> bool {
        self.locked(token, now).and_then(|index| self.waiting.remove(index)).is_some()
    }

    /// Lets a notice be received again; false where the lock is over.
    pub(super) fn abandon(&mut self, token: &str, now: Timestamp) -> bool {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_notice_is_locked_until_it_is_settled() {
        let mut notices = Notices::default();
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
        let mut notices = Notices::default();
        notices.push(1.into(), at(0));
        for number in 0..MAX_DELIVERIES {
            let token = number.to_string();
            assert!(notices.receive(token.clone(), at(1)).is_some());
            assert!(notices.abandon(&token, at(1)));
        }
        assert_eq!(notices.receive("more".into(), at(1)), None);
    }
}
