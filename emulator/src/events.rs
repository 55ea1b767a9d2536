//! What happened at the hub, for tests, files and back-ends. Nothing is built while nobody listens.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::identity::Identity;
use crate::time::now_text;

pub(crate) type SystemPairs = Vec<(Cow<'static, str>, String)>;
pub(crate) type Pairs = Vec<(String, Option<String>)>;

/// One event; `time`, `device` and `module` are added where it is emitted.
#[derive(Debug)]
pub(crate) enum Event {
    Telemetry {
        body: Bytes,
        system: SystemPairs,
        properties: Pairs,
    },
    Connected {
        session_present: bool,
        clean_session: bool,
        auth: String,
        protocol: &'static str,
    },
    Disconnected {
        code: &'static str,
        reason: String,
    },
    /// An identity was registered, changed or deleted while the hub runs.
    Identity {
        change: &'static str,
    },
    /// A CONNECT with a refusing CONNACK, or none where `return_code` is absent.
    Refused {
        code: &'static str,
        reason: String,
        return_code: Option<u8>,
    },
    /// A device got its place at the hub.
    Provisioned {
        registration: String,
        group: Option<String>,
        substatus: &'static str,
    },
    /// A client of the provisioning service that was refused, at CONNECT where `return_code` is there.
    NotProvisioned {
        registration: String,
        code: &'static str,
        reason: String,
        return_code: Option<u8>,
    },
    /// Of a C2D message, and with an input of one to a module.
    Queue {
        state: &'static str,
        input: Option<String>,
        message_id: Option<String>,
        delivery_count: u32,
    },
    Twin {
        section: &'static str,
        version: u64,
        patch: Value,
    },
    /// A twin operation of a device that was answered with an error.
    TwinRefused {
        /// Absent where the whole twin was asked for.
        section: Option<&'static str>,
        status: u16,
        reason: String,
    },
    Method {
        name: String,
        status: u16,
        request: Value,
        response: Value,
    },
    Subscribed {
        filters: Vec<(String, u8)>,
    },
    Unsubscribed {
        filters: Vec<String>,
    },
}

struct Stamped<'a> {
    identity: Option<&'a Identity>,
    event: &'a Event,
}

impl Serialize for Stamped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let name = match self.event {
            Event::Telemetry { .. } => "telemetry",
            Event::Connected { .. } => "connected",
            Event::Disconnected { .. } => "disconnected",
            Event::Identity { .. } => "identity",
            Event::Refused { .. } | Event::NotProvisioned { .. } => "refused",
            Event::Provisioned { .. } => "provisioned",
            Event::Queue { input: None, .. } => "c2d",
            Event::Queue { input: Some(_), .. } => "input",
            Event::Twin { .. } | Event::TwinRefused { .. } => "twin",
            Event::Method { .. } => "method",
            Event::Subscribed { .. } => "subscribed",
            Event::Unsubscribed { .. } => "unsubscribed",
        };
        map.serialize_entry("event", name)?;
        map.serialize_entry("time", &now_text())?;
        map.serialize_entry("device", &self.identity.map(Identity::device_id))?;
        map.serialize_entry("module", &self.identity.and_then(Identity::module_id))?;
        match self.event {
            Event::Telemetry { body, system, properties } => {
                match std::str::from_utf8(body) {
                    Ok(text) => map.serialize_entry("body", text)?,
                    Err(_) => map.serialize_entry("body_base64", &STANDARD.encode(body))?,
                }
                map.serialize_entry("system", &InOrder(system))?;
                map.serialize_entry("properties", &InOrder(properties))?;
            }
            Event::Connected { session_present, clean_session, auth, protocol } => {
                map.serialize_entry("session_present", session_present)?;
                map.serialize_entry("clean_session", clean_session)?;
                map.serialize_entry("auth", auth)?;
                map.serialize_entry("protocol", protocol)?;
            }
            Event::Disconnected { code, reason } => {
                map.serialize_entry("code", code)?;
                map.serialize_entry("reason", reason)?;
            }
            Event::Refused { code, reason, return_code } => {
                map.serialize_entry("code", code)?;
                map.serialize_entry("reason", reason)?;
                map.serialize_entry("return_code", return_code)?;
            }
            Event::Provisioned { registration, group, substatus } => {
                map.serialize_entry("registration", registration)?;
                map.serialize_entry("group", group)?;
                map.serialize_entry("substatus", substatus)?;
            }
            Event::NotProvisioned { registration, code, reason, return_code } => {
                map.serialize_entry("registration", registration)?;
                map.serialize_entry("code", code)?;
                map.serialize_entry("reason", reason)?;
                map.serialize_entry("return_code", return_code)?;
            }
            Event::Queue { state, input, message_id, delivery_count } => {
                if let Some(input) = input {
                    map.serialize_entry("input", input)?;
                }
                map.serialize_entry("state", state)?;
                map.serialize_entry("message_id", message_id)?;
                map.serialize_entry("delivery_count", delivery_count)?;
                if *state == "late" {
                    let reason = "412002 DeviceMessageLockLost: the PUBACK came after the lock had ended";
                    map.serialize_entry("reason", reason)?;
                }
            }
            Event::Twin { section, version, patch } => {
                map.serialize_entry("section", section)?;
                map.serialize_entry("version", version)?;
                map.serialize_entry("patch", patch)?;
            }
            Event::TwinRefused { section, status, reason } => {
                map.serialize_entry("section", section)?;
                map.serialize_entry("status", status)?;
                map.serialize_entry("reason", reason)?;
            }
            Event::Identity { change } => map.serialize_entry("change", change)?,
            Event::Method { name, status, request, response } => {
                map.serialize_entry("name", name)?;
                map.serialize_entry("status", status)?;
                map.serialize_entry("request", request)?;
                map.serialize_entry("response", response)?;
            }
            Event::Subscribed { filters } => {
                map.serialize_entry("filters", &InOrder(filters))?;
            }
            Event::Unsubscribed { filters } => map.serialize_entry("filters", filters)?,
        }
        map.end()
    }
}

/// Pairs as a JSON object that keeps their order.
struct InOrder<'a, K, V>(&'a [(K, V)]);

impl<K: Serialize, V: Serialize> Serialize for InOrder<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[derive(Debug)]
enum Listener {
    Values(mpsc::Sender<Value>),
    Lines(tokio::sync::mpsc::UnboundedSender<Arc<str>>),
}

/// Hands every event to everybody who listens, in the order in which they happened.
#[derive(Debug, Default)]
pub(crate) struct EventBus {
    listeners: Mutex<Vec<Listener>>,
    /// How many there are, so that the busy path needs no lock to find that there are none.
    count: AtomicUsize,
}

impl EventBus {
    pub(crate) fn values(&self) -> mpsc::Receiver<Value> {
        let (sender, receiver) = mpsc::channel();
        self.add(Listener::Values(sender));
        receiver
    }

    /// Each event as one line of JSON without the line feed.
    pub(crate) fn lines(&self) -> tokio::sync::mpsc::UnboundedReceiver<Arc<str>> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        self.add(Listener::Lines(sender));
        receiver
    }

    fn add(&self, listener: Listener) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(listener);
        self.count.store(listeners.len(), Ordering::Release);
    }

    /// `make` is called only when somebody listens.
    pub(crate) fn emit(&self, identity: Option<&Identity>, make: impl FnOnce() -> Event) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let event = make();
        let stamped = Stamped { identity, event: &event };
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line: Option<Arc<str>> = None;
        listeners.retain(|listener| match listener {
            Listener::Values(sender) => {
                serde_json::to_value(&stamped).is_ok_and(|value| sender.send(value).is_ok())
            }
            Listener::Lines(sender) => {
                let line =
                    line.get_or_insert_with(|| serde_json::to_string(&stamped).unwrap_or_default().into());
                sender.send(line.clone()).is_ok()
            }
        });
        self.count.store(listeners.len(), Ordering::Release);
    }

    /// Ends every line stream, once what was emitted has been read.
    pub(crate) fn close(&self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.count.store(0, Ordering::Release);
    }
}
