//! The queue of cloud-to-device messages of one device. Pure: the time is given.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use iothub_mqtt::hub::property_bag;
use jiff::Timestamp;

use crate::error::HubError;
use crate::time::round_trip_text;

const MAX_QUEUE: usize = 50;
const MAX_BODY: usize = 64 * 1024;
/// The hub's default time to live.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);

/// A message from a back-end to a device.
#[derive(Clone, Default)]
pub struct CloudMessage {
    /// At most 64 KiB.
    pub body: Bytes,
    /// Made up where it is absent.
    pub message_id: Option<String>,
    pub correlation_id: Option<String>,
    pub user_id: Option<String>,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    /// When the hub gives up; an hour after it was queued where it is absent.
    pub expiry: Option<Timestamp>,
    /// `none`, `positive`, `negative` or `full`; `none` where it is absent.
    pub ack: Option<String>,
    /// Application properties in order; a value of `None` is null.
    pub properties: Vec<(String, Option<String>)>,
}

impl CloudMessage {
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    #[must_use]
    pub fn with_id(mut self, message_id: &str) -> Self {
        self.message_id = Some(message_id.to_owned());
        self
    }

    #[must_use]
    pub fn with_property(mut self, name: &str, value: Option<&str>) -> Self {
        self.properties.push((name.to_owned(), value.map(str::to_owned)));
        self
    }

    /// The topic to `device`. The SDK for C matches `%24.` literally, others index the fifth
    /// segment, so the system properties are always there and always encoded.
    fn topic(&self, device: &str, message_id: &str) -> String {
        let to = format!("/devices/{device}/messages/deviceBound");
        let expiry = self.expiry.map(round_trip_text);
        let system = [
            ("$.mid", Some(message_id)),
            ("$.to", Some(to.as_str())),
            ("$.cid", self.correlation_id.as_deref()),
            ("$.uid", self.user_id.as_deref()),
            ("$.ct", self.content_type.as_deref()),
            ("$.ce", self.content_encoding.as_deref()),
            ("$.exp", expiry.as_deref()),
            ("iothub-ack", Some(self.ack.as_deref().unwrap_or("none"))),
        ];
        let present = system.iter().filter(|(_, value)| value.is_some()).copied();
        let others = self.properties.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let mut topic = format!("devices/{device}/messages/devicebound/");
        property_bag::write(&mut topic, present.chain(others));
        topic
    }
}

impl std::fmt::Debug for CloudMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudMessage")
            .field("message_id", &self.message_id)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A queued message as it goes to the device.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) message_id: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) body: Bytes,
    /// Of this message, this one included.
    pub(crate) count: u32,
}

#[derive(Debug)]
struct Entry {
    delivery: Delivery,
    expires: Timestamp,
    lock: Option<Lock>,
}

#[derive(Debug, Clone, Copy)]
struct Lock {
    packet_id: u16,
    until: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Queues a message; its id.
    pub(crate) fn push(
        &mut self,
        device: &str,
        message: CloudMessage,
        now: Timestamp,
    ) -> Result<Arc<str>, HubError> {
        if self.entries.len() >= MAX_QUEUE {
            return Err(HubError::new(
                403_004,
                "DeviceMaximumQueueDepthExceeded",
                format!("{device} has {MAX_QUEUE} messages queued"),
            ));
        }
        if message.body.len() > MAX_BODY {
            return Err(HubError::new(
                413_001,
                "MessageTooLarge",
                format!("the body has {} bytes, at most {MAX_BODY} are allowed", message.body.len()),
            ));
        }
        let message_id: Arc<str> = match &message.message_id {
            Some(id) => id.as_str().into(),
            None => uuid::Uuid::new_v4().to_string().into(),
        };
        let topic: Arc<str> = message.topic(device, &message_id).into();
        if topic.len() > usize::from(u16::MAX) {
            return Err(HubError::argument("the properties do not fit into a topic of 65535 bytes"));
        }
        let expires = message.expiry.or_else(|| now.checked_add(DEFAULT_LIFE).ok()).unwrap_or(Timestamp::MAX);
        let delivery = Delivery { message_id: message_id.clone(), topic, body: message.body, count: 0 };
        self.entries.push_back(Entry { delivery, expires, lock: None });
        Ok(message_id)
    }

    /// Takes the messages whose time to live is over out of the queue.
    pub(crate) fn expired(&mut self, now: Timestamp) -> Vec<Delivery> {
        self.extract(|entry| entry.expires <= now)
    }

    /// Unlocks the messages that waited too long for their PUBACK.
    pub(crate) fn unlock_overdue(&mut self, now: Instant) -> Vec<Delivery> {
        let mut unlocked = Vec::new();
        for entry in &mut self.entries {
            if entry.lock.is_some_and(|lock| lock.until <= now) {
                entry.lock = None;
                unlocked.push(entry.delivery.clone());
            }
        }
        unlocked
    }

    /// Unlocks every message: the session that they were sent on is gone.
    pub(crate) fn unlock_all(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.lock = None);
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

    pub(crate) fn has_ready(&self) -> bool {
        self.entries.iter().any(|entry| entry.lock.is_none())
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
#[path = "c2d_tests.rs"]
mod tests;
