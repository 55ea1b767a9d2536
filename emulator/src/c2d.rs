//! Messages from a back-end: to a device, or to an input of a module. Pure: the time is given.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iothub_mqtt::hub::property_bag;
use jiff::Timestamp;

use crate::broker::rules;
use crate::error::HubError;
use crate::identity::Identity;
use crate::module_routes;
use crate::queue::Queued;
use crate::settings::{C2dBagEnd, C2dMessageId, PropertyNames, Settings, WrongMessageId};
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
    /// The end of the topic exactly as it goes out, in place of everything above but the body and
    /// the expiry: for what other senders write and this hub does not, such as a trailing `/`,
    /// lower-case escapes or no message id.
    pub bag: Option<String>,
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

    #[must_use]
    pub fn with_bag(mut self, bag: &str) -> Self {
        self.bag = Some(bag.to_owned());
        self
    }

    /// The topic to `device`. The SDK for C matches `%24.` literally, others index the fifth
    /// segment, so the system properties are always there and always encoded.
    fn topic(&self, device: &str, message_id: Option<&str>, end: C2dBagEnd) -> String {
        let mut topic = format!("devices/{device}/messages/devicebound/");
        if let Some(bag) = &self.bag {
            return topic + bag;
        }
        let to = format!("/devices/{device}/messages/deviceBound");
        let expiry = self.expiry.map(round_trip_text);
        let mut system = self.system(message_id, expiry.as_deref());
        system.insert(usize::from(message_id.is_some()), ("$.to", to.as_str()));
        system.push(("iothub-ack", self.ack.as_deref().unwrap_or("none")));
        let system = system.into_iter().map(|(name, value)| (name, Some(value)));
        property_bag::write(&mut topic, system.chain(self.application()));
        if end == C2dBagEnd::Slash {
            topic.push('/');
        }
        topic
    }

    /// The topic to an input of a module, its properties in the order of the Edge hub.
    pub(crate) fn input_topic(&self, module: &Identity, input: &str, message_id: &str) -> String {
        if let Some(bag) = &self.bag {
            return module_routes::input_topic(module, input, std::iter::empty()) + bag;
        }
        let expiry = self.expiry.map(round_trip_text);
        let system = self.system(Some(message_id), expiry.as_deref());
        let system = system.into_iter().map(|(name, value)| (name, Some(value)));
        module_routes::input_topic(module, input, self.application().chain(system))
    }

    /// The system properties that are there.
    fn system<'a>(
        &'a self,
        message_id: Option<&'a str>,
        expiry: Option<&'a str>,
    ) -> Vec<(&'static str, &'a str)> {
        let all = [
            ("$.mid", message_id),
            ("$.cid", self.correlation_id.as_deref()),
            ("$.uid", self.user_id.as_deref()),
            ("$.ct", self.content_type.as_deref()),
            ("$.ce", self.content_encoding.as_deref()),
            ("$.exp", expiry),
        ];
        all.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
    }

    fn application(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.properties.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Ready for the queue of a device, `queued` of whose messages wait.
    pub(crate) fn into_queued(
        self,
        device: &str,
        queued: usize,
        now: Timestamp,
        settings: &Settings,
    ) -> Result<Queued, HubError> {
        if queued >= MAX_QUEUE {
            return Err(HubError::new(
                403_004,
                "DeviceMaximumQueueDepthExceeded",
                format!("{device} has {MAX_QUEUE} messages queued"),
            ));
        }
        if self.body.len() > MAX_BODY {
            return Err(HubError::new(
                413_001,
                "MessageTooLarge",
                format!("the body has {} bytes, at most {MAX_BODY} are allowed", self.body.len()),
            ));
        }
        self.check(settings)?;
        let message_id = match (&self.message_id, settings.c2d_message_id) {
            (None, C2dMessageId::Absent) => None,
            _ => Some(self.id()),
        };
        let topic = checked_topic(self.topic(device, message_id.as_deref(), settings.c2d_bag_end))?;
        let expires = self.expiry.or_else(|| now.checked_add(DEFAULT_LIFE).ok()).unwrap_or(Timestamp::MAX);
        Ok(Queued { message_id, input: None, topic, body: self.body, expires, wish: None })
    }

    /// What no receiver could read, or IoT Hub does not document, is refused.
    pub(crate) fn check(&self, settings: &Settings) -> Result<(), HubError> {
        if self.properties.iter().any(|(name, _)| name.is_empty()) {
            return Err(HubError::argument("a property must have a name"));
        }
        let documented = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let strange = self.properties.iter().find(|(name, _)| !name.bytes().all(documented));
        if let Some((name, _)) = strange
            && settings.c2d_property_names == PropertyNames::Documented
        {
            let rule = "letters, digits and !#$%&'*+-.^_`|~ of ASCII";
            return Err(HubError::argument(format!("the name of a property has {rule}: '{name}'")));
        }
        if settings.message_id == WrongMessageId::Refused
            && self.message_id.as_deref().is_some_and(|id| !rules::is_message_id(id))
        {
            return Err(HubError::argument(format!("the message id {}", rules::MESSAGE_ID_RULE)));
        }
        match self.ack.as_deref() {
            None | Some("none" | "positive" | "negative" | "full") => Ok(()),
            Some(_) => Err(HubError::argument("the ack must be none, positive, negative or full")),
        }
    }

    pub(crate) fn id(&self) -> Arc<str> {
        match &self.message_id {
            Some(id) => id.as_str().into(),
            None => uuid::Uuid::new_v4().to_string().into(),
        }
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

pub(crate) fn checked_topic(topic: String) -> Result<Arc<str>, HubError> {
    if topic.len() > usize::from(u16::MAX) {
        return Err(HubError::argument("the properties do not fit into a topic of 65535 bytes"));
    }
    Ok(topic.into())
}

#[cfg(test)]
#[path = "c2d_tests.rs"]
mod tests;
