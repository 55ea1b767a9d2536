//! The queue of messages to one device or module, each locked while its PUBACK is awaited.
//! Pure: the time is given.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::feedback::Wish;

/// A message to queue: ready to be sent, with the time when the hub gives up.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Absent where a module sent none to another.
    pub(crate) message_id: Option<Arc<str>>,
    /// Of a module, which this message goes to.
    pub(crate) input: Option<Arc<str>>,
    pub(crate) topic: Arc<str>,
    pub(crate) body: Bytes,
    pub(crate) expires: Timestamp,
    pub(crate) wish: Option<Wish>,
}

/// A queued message as it goes to the device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) message_id: Option<Arc<str>>,
    pub(crate) input: Option<Arc<str>>,
    pub(crate) topic: Arc<str>,
    #[serde(with = "crate::store::base64_text")]
    pub(crate) body: Bytes,
    /// Of this message, this one included.
    pub(crate) count: u32,
    pub(crate) wish: Option<Wish>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    delivery: Delivery,
    expires: Timestamp,
    lock: Option<Lock>,
    /// The packet id of a lock that ran out.
    lost: Option<u16>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Lock {
    packet_id: u16,
    /// Not kept: see [`Queue::relock`].
    #[serde(skip, default = "Instant::now")]
    until: Instant,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn push(&mut self, message: Queued) {
        let Queued { message_id, input, topic, body, expires, wish } = message;
        let delivery = Delivery { message_id, input, topic, body, count: 0, wish };
        self.entries.push_back(Entry { delivery, expires, lock: None, lost: None });
    }

    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.entries.iter().any(|entry| entry.expires <= now)
    }

    /// Takes the messages whose time to live is over out of the queue.
    pub(crate) fn expired(&mut self, now: Timestamp) -> Vec<Delivery> {
        self.extract(|entry| entry.expires <= now)
    }

    /// Takes every message out of the queue.
    pub(crate) fn purge(&mut self) -> Vec<Delivery> {
        self.extract(|_| true)
    }

    /// Unlocks the messages that waited too long for their PUBACK.
    pub(crate) fn unlock_overdue(&mut self, now: Instant) -> Vec<Delivery> {
        let mut unlocked = Vec::new();
        for entry in &mut self.entries {
            if entry.lock.is_some_and(|lock| lock.until <= now) {
                entry.lost = entry.lock.take().map(|lock| lock.packet_id);
                unlocked.push(entry.delivery.clone());
            }
        }
        unlocked
    }

    /// Unlocks every message: the session that they were sent on is gone.
    pub(crate) fn unlock_all(&mut self) {
        for entry in &mut self.entries {
            (entry.lock, entry.lost) = (None, None);
        }
    }

    /// Lets every lock end at `until`: the clock that they were made by is that of another run.
    pub(crate) fn relock(&mut self, until: Instant) {
        self.entries.iter_mut().filter_map(|entry| entry.lock.as_mut()).for_each(|lock| lock.until = until);
    }

    /// When the next lock ends.
    pub(crate) fn next_unlock(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.lock.map(|lock| lock.until)).min()
    }

    /// The next message to send, locked under `packet_id` until `until`.
    pub(crate) fn send_next(&mut self, packet_id: u16, until: Instant) -> Option<Delivery> {
        let entry = self.entries.iter_mut().find(|entry| entry.lock.is_none())?;
        entry.lock = Some(Lock { packet_id, until });
        entry.delivery.count += 1;
        Some(entry.delivery.clone())
    }

    /// Whether there is a message to send, and fewer than `in_flight` are on their way.
    pub(crate) fn has_ready(&self, in_flight: usize) -> bool {
        let locked = self.entries.iter().filter(|entry| entry.lock.is_some()).count();
        locked < in_flight && locked < self.entries.len()
    }

    /// The messages of a resumed session that were sent and not acknowledged, to be sent again
    /// and locked anew.
    pub(crate) fn resend(&mut self, until: Instant) -> Vec<(u16, Delivery)> {
        let mut again = Vec::new();
        for entry in &mut self.entries {
            if let Some(lock) = &mut entry.lock {
                lock.until = until;
                entry.delivery.count += 1;
                again.push((lock.packet_id, entry.delivery.clone()));
            }
        }
        again
    }

    pub(crate) fn is_in_use(&self, packet_id: u16) -> bool {
        self.entries.iter().any(|entry| entry.lock.is_some_and(|lock| lock.packet_id == packet_id))
    }

    /// Completes the message that was sent under `packet_id`; `None` where its lock is over.
    pub(crate) fn complete(&mut self, packet_id: u16) -> Option<Delivery> {
        self.extract(|entry| entry.lock.is_some_and(|lock| lock.packet_id == packet_id)).pop()
    }

    /// The message that was sent under `packet_id` and came back to the queue when its lock ran out.
    pub(crate) fn lost(&self, packet_id: u16) -> Option<&Delivery> {
        self.entries.iter().find(|entry| entry.lost == Some(packet_id)).map(|entry| &entry.delivery)
    }

    fn extract(&mut self, out: impl Fn(&Entry) -> bool) -> Vec<Delivery> {
        let mut extracted = Vec::new();
        self.entries.retain(|entry| {
            let goes = out(entry);
            if goes {
                extracted.push(entry.delivery.clone());
            }
            !goes
        });
        extracted
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
