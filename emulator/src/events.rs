//! What happened at the hub, for tests, files, back-ends and the page. No telemetry is built while nobody listens.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tokio::sync::watch;

use crate::files::Blob;
use crate::history::{Batch, History, Line};
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
    /// The end of a file's upload, as the device tells it.
    File {
        state: &'static str,
        correlation_id: String,
        blob: String,
        file: Option<Blob>,
        status_code: Option<i64>,
        status_description: Option<String>,
    },
    /// Something could not be written into the state directory.
    NotKept {
        reason: String,
    },
    Subscribed {
        filters: Vec<(String, u8)>,
    },
    Unsubscribed {
        filters: Vec<String>,
    },
    /// A fault was armed, or could not be.
    Fault {
        name: &'static str,
        /// Whom it is for, as it was asked for.
        target: String,
        /// How many connections it has reached at once.
        reached: usize,
        /// How many uses of it are left; `None` where its time alone ends it.
        waiting: Option<u32>,
        /// Why it was not armed.
        note: Option<String>,
    },
    /// Something that IoT Hub would close the connection for, and a setting lets pass without effect.
    Ignored {
        /// `publish` or `filter`.
        what: &'static str,
        /// The topic or the filter.
        topic: String,
        /// The setting, as it is written on the command line.
        rule: &'static str,
    },
}

impl Event {
    /// Whether it tells who came, went or was refused.
    fn is_operation(&self) -> bool {
        matches!(
            self,
            Self::Connected { .. }
                | Self::Disconnected { .. }
                | Self::Refused { .. }
                | Self::NotProvisioned { .. }
                | Self::Provisioned { .. }
                | Self::Identity { .. }
        )
    }
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
            Event::File { .. } => "file",
            Event::NotKept { .. } => "state",
            Event::Subscribed { .. } => "subscribed",
            Event::Unsubscribed { .. } => "unsubscribed",
            Event::Fault { .. } => "fault",
            Event::Ignored { .. } => "ignored",
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
            Event::File { state, correlation_id, blob, file, status_code, status_description } => {
                map.serialize_entry("state", state)?;
                map.serialize_entry("correlation_id", correlation_id)?;
                map.serialize_entry("blob", blob)?;
                map.serialize_entry("path", &file.as_ref().map(|file| &file.path))?;
                map.serialize_entry("size", &file.as_ref().map(|file| file.size))?;
                map.serialize_entry("status_code", status_code)?;
                map.serialize_entry("status_description", status_description)?;
            }
            Event::NotKept { reason } => map.serialize_entry("reason", reason)?,
            Event::Subscribed { filters } => {
                map.serialize_entry("filters", &InOrder(filters))?;
            }
            Event::Unsubscribed { filters } => map.serialize_entry("filters", filters)?,
            Event::Fault { name, target, reached, waiting, note } => {
                map.serialize_entry("name", name)?;
                map.serialize_entry("target", target)?;
                map.serialize_entry("reached", reached)?;
                map.serialize_entry("waiting", waiting)?;
                map.serialize_entry("note", note)?;
            }
            Event::Ignored { what, topic, rule } => {
                map.serialize_entry("what", what)?;
                map.serialize_entry("topic", topic)?;
                map.serialize_entry("rule", rule)?;
            }
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
#[derive(Debug)]
pub(crate) struct EventBus {
    heard: Mutex<Heard>,
    /// Whether anybody wants telemetry, so that the busy path needs no lock to find that nobody does.
    busy: AtomicBool,
    /// The number of the newest event, for those who read the history.
    newest: watch::Sender<u64>,
    /// Tells the events of this hub from those of one that was there before.
    run: String,
}

#[derive(Debug, Default)]
struct Heard {
    listeners: Vec<Listener>,
    history: History,
}

impl Default for EventBus {
    fn default() -> Self {
        Self {
            heard: Mutex::default(),
            busy: AtomicBool::new(false),
            newest: watch::Sender::new(0),
            run: uuid::Uuid::new_v4().simple().to_string(),
        }
    }
}

impl EventBus {
    pub(crate) fn values(&self) -> mpsc::Receiver<Value> {
        let (sender, receiver) = mpsc::channel();
        self.add(Listener::Values(sender));
        receiver
    }

    /// Each event as one line of JSON without the line feed; misses none, so its reader must keep up.
    pub(crate) fn lines(&self) -> tokio::sync::mpsc::UnboundedReceiver<Arc<str>> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        self.add(Listener::Lines(sender));
        receiver
    }

    /// Keeps the events from here on for readers that may be slow; the number of the newest.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        let mut heard = self.heard();
        heard.history.start();
        self.busy.store(true, Ordering::Release);
        let mut newest = self.newest.subscribe();
        newest.mark_unchanged();
        newest
    }

    /// What a reader has not seen who has seen the event `after`.
    pub(crate) fn after(&self, after: u64, max_bytes: usize) -> Batch {
        self.heard().history.after(after, max_bytes)
    }

    /// Who came, went and was refused lately, and the number of the newest event.
    pub(crate) fn operations(&self) -> (u64, Vec<Line>) {
        let heard = self.heard();
        (heard.history.last(), heard.history.operations())
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, listener: Listener) {
        let mut heard = self.heard();
        heard.listeners.push(listener);
        self.busy.store(true, Ordering::Release);
    }

    /// For what comes in masses: `make` is called only when somebody listens.
    pub(crate) fn emit_if_heard(&self, identity: Option<&Identity>, make: impl FnOnce() -> Event) {
        if self.busy.load(Ordering::Acquire) {
            self.emit(identity, make);
        }
    }

    pub(crate) fn emit(&self, identity: Option<&Identity>, make: impl FnOnce() -> Event) {
        let event = make();
        let stamped = Stamped { identity, event: &event };
        let operation = event.is_operation();
        let mut heard = self.heard();
        let Heard { listeners, history } = &mut *heard;
        let mut line: Option<Arc<str>> = None;
        let mut line =
            || line.get_or_insert_with(|| serde_json::to_string(&stamped).unwrap_or_default().into()).clone();
        listeners.retain(|listener| match listener {
            Listener::Values(sender) => {
                serde_json::to_value(&stamped).is_ok_and(|value| sender.send(value).is_ok())
            }
            Listener::Lines(sender) => sender.send(line()).is_ok(),
        });
        if operation || history.is_recording() {
            history.push(line(), operation);
            self.newest.send_replace(history.last());
        }
        self.busy.store(history.is_recording() || !listeners.is_empty(), Ordering::Release);
    }

    /// Ends every line stream, once what was emitted has been read.
    pub(crate) fn close(&self) {
        let mut heard = self.heard();
        heard.listeners.clear();
        self.busy.store(heard.history.is_recording(), Ordering::Release);
    }
}
