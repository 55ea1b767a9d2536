//! What became of cloud-to-device messages, for the back-end that asked to know: records, which
//! become a notice in batches. Pure: the time is given.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::notices::{Notices, Received, is_fresh};
use crate::time::milliseconds_text;

/// In one batch.
const MAX_RECORDS: usize = 64;
/// How many records wait; the oldest go first.
const MAX_WAITING: usize = 10_000;
/// IoT Hub's default: how often a batch is received before it is dropped.
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
pub(crate) struct Feedback {
    waiting: VecDeque<Record>,
    pub(crate) batches: Notices,
}

impl Default for Feedback {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), batches: Notices::new(MAX_DELIVERIES) }
    }
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
    pub(crate) fn receive(&mut self, token: String, now: Timestamp) -> Option<Received> {
        self.waiting.retain(|record| is_fresh(record.at, now));
        if !self.batches.has_ready(now) && !self.waiting.is_empty() {
            let batch = self.waiting.drain(..self.waiting.len().min(MAX_RECORDS));
            let records: Value = batch.map(|record| record.document()).collect();
            self.batches.push(records, now);
        }
        self.batches.receive(token, now)
    }
}

#[cfg(test)]
#[path = "feedback_tests.rs"]
mod tests;
