//! What became of cloud-to-device messages, for the back-end that asked to know: records in
//! batches, each locked while its completion is awaited. Pure: the time is given.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::time::milliseconds_text;

/// In one batch.
const MAX_RECORDS: usize = 64;
/// How many records wait; the oldest go first.
const MAX_WAITING: usize = 10_000;
/// How long a batch waits to be completed before it is received again.
const LOCK: Duration = Duration::from_secs(60);
/// How long a record or batch is kept.
const LIFE: Duration = Duration::from_secs(3600);
/// How often a batch is received before it is dropped.
const MAX_DELIVERIES: u32 = 10;

/// What the sender of a message wants to hear of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Wish {
    positive: bool,
    negative: bool,
    /// Of the device.
    generation: Arc<str>,
}

impl Wish {
    /// From `iothub-ack`; `None` where the sender wants to hear nothing.
    pub(crate) fn of(ack: Option<&str>, generation: &str) -> Option<Self> {
        let (positive, negative) = match ack? {
            "positive" => (true, false),
            "negative" => (false, true),
            "full" => (true, true),
            _ => return None,
        };
        Some(Self { positive, negative, generation: generation.into() })
    }
}

/// How a message ended. A device cannot reject or abandon one over MQTT, so there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Expired,
    Purged,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Expired => "Expired",
            Self::Purged => "Purged",
        }
    }
}

#[derive(Debug)]
struct Record {
    device: Arc<str>,
    generation: Arc<str>,
    message_id: Option<Arc<str>>,
    outcome: Outcome,
    at: Timestamp,
}

impl Record {
    fn document(&self) -> Value {
        json!({
            "originalMessageId": self.message_id.as_deref(),
            "enqueuedTimeUtc": milliseconds_text(self.at),
            "statusCode": self.outcome.name(),
            "description": self.outcome.name(),
            "deviceId": &*self.device,
            "deviceGenerationId": &*self.generation,
        })
    }
}

#[derive(Debug)]
struct Batch {
    records: Vec<Record>,
    sequence: u64,
    at: Timestamp,
    deliveries: u32,
    lock: Option<(String, Instant)>,
}

impl Batch {
    fn is_locked(&self, now: Instant) -> bool {
        self.lock.as_ref().is_some_and(|(_, until)| *until > now)
    }
}

/// A batch as a back-end receives it.
#[derive(Debug, PartialEq)]
pub(crate) struct Received {
    pub(crate) records: Value,
    pub(crate) sequence: u64,
    pub(crate) enqueued: String,
    /// Of this batch, this one included.
    pub(crate) deliveries: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Feedback {
    waiting: VecDeque<Record>,
    batches: VecDeque<Batch>,
    last_sequence: u64,
}

impl Feedback {
    /// Records how a message to `device` ended, where its sender wants to hear of that.
    pub(crate) fn record(
        &mut self,
        device: &str,
        message_id: Option<&Arc<str>>,
        wish: &Wish,
        outcome: Outcome,
        at: Timestamp,
    ) {
        let wanted = if outcome == Outcome::Success { wish.positive } else { wish.negative };
        if !wanted {
            return;
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        let (generation, message_id) = (wish.generation.clone(), message_id.cloned());
        self.waiting.push_back(Record { device: device.into(), generation, message_id, outcome, at });
    }

    /// Forgets what waits for a device that is deleted.
    pub(crate) fn forget(&mut self, device: &str) {
        self.waiting.retain(|record| &*record.device != device);
    }

    /// The oldest batch that is not locked, or a new one of what waits; locked under `token`.
    pub(crate) fn receive(&mut self, token: String, at: Timestamp, now: Instant) -> Option<Received> {
        self.drop_old(at);
        if !self.batches.iter().any(|batch| !batch.is_locked(now)) && !self.waiting.is_empty() {
            let records = self.waiting.drain(..self.waiting.len().min(MAX_RECORDS)).collect();
            self.last_sequence += 1;
            let sequence = self.last_sequence;
            self.batches.push_back(Batch { records, sequence, at, deliveries: 0, lock: None });
        }
        let batch = self.batches.iter_mut().find(|batch| !batch.is_locked(now))?;
        batch.deliveries += 1;
        batch.lock = Some((token, now + LOCK));
        Some(Received {
            records: batch.records.iter().map(Record::document).collect(),
            sequence: batch.sequence,
            enqueued: milliseconds_text(batch.at),
            deliveries: batch.deliveries,
        })
    }

    /// Ends a batch; false where the lock is over.
    pub(crate) fn complete(&mut self, token: &str, now: Instant) -> bool {
        let index = self.locked(token, now);
        index.and_then(|index| self.batches.remove(index)).is_some()
    }

    /// Lets a batch be received again; false where the lock is over.
    pub(crate) fn abandon(&mut self, token: &str, now: Instant) -> bool {
        let Some(batch) = self.locked(token, now).and_then(|index| self.batches.get_mut(index)) else {
            return false;
        };
        batch.lock = None;
        true
    }

    fn locked(&self, token: &str, now: Instant) -> Option<usize> {
        self.batches.iter().position(|batch| {
            batch.is_locked(now) && batch.lock.as_ref().is_some_and(|(known, _)| known == token)
        })
    }

    fn drop_old(&mut self, at: Timestamp) {
        let fresh = |made: Timestamp| {
            at.duration_since(made) < jiff::SignedDuration::from_secs(LIFE.as_secs() as i64)
        };
        self.waiting.retain(|record| fresh(record.at));
        self.batches.retain(|batch| fresh(batch.at) && batch.deliveries < MAX_DELIVERIES);
    }
}

#[cfg(test)]
#[path = "feedback_tests.rs"]
mod tests;
