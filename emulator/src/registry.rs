//! The identities that the hub knows, and what it keeps for each.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::SyncSender;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::auth::Credential;
use crate::broker::mailbox::Mailbox;
use crate::broker::rules::Subject;
use crate::faults::Armed;
use crate::identity::Identity;
use crate::queue::Queue;
use crate::store::Wake;
use crate::time::now_text;
use crate::twins::Twin;

/// What the hub keeps for one device or module; with a state directory across restarts, too.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    pub(crate) twin: Twin,
    /// A device's C2D messages, a module's messages to its inputs.
    pub(crate) queue: Queue,
    pub(crate) session: Session,
    #[serde(skip)]
    pub(crate) link: Option<Link>,
    pub(crate) model_id: Option<String>,
    pub(crate) last_activity: Option<String>,
    /// When it connected or disconnected last.
    pub(crate) connection_changed: Option<String>,
    /// Why it was refused or cut last.
    #[serde(skip)]
    pub(crate) trouble: Option<Trouble>,
}

impl Entry {
    pub(crate) fn new(record: Record) -> Self {
        Self {
            record,
            twin: Twin::new(&now_text()),
            queue: Queue::default(),
            session: Session::default(),
            link: None,
            model_id: None,
            last_activity: None,
            connection_changed: None,
            trouble: None,
        }
    }

    /// An id that no unacknowledged message of the queue has.
    pub(crate) fn next_packet_id(&mut self) -> u16 {
        // 50 messages are on their way at most, so a free id is among the next 51.
        loop {
            let next = self.session.last_packet_id.checked_add(1).unwrap_or(1);
            self.session.last_packet_id = next;
            if !self.queue.is_in_use(next) {
                return next;
            }
        }
    }

    /// The QoS that the connected client subscribed to `subject` with.
    pub(crate) fn granted(&self, subject: Subject) -> Option<u8> {
        self.link.as_ref()?;
        self.session.granted(subject)
    }

    /// The same of the calls of one method.
    pub(crate) fn granted_method(&self, name: &str) -> Option<u8> {
        self.link.as_ref()?;
        self.session.granted_method(name)
    }
}

/// How a connection ended, or was none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Trouble {
    /// `refused` or `disconnected`.
    pub(crate) event: &'static str,
    pub(crate) time: String,
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

/// What a back-end registers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) credential: Credential,
    pub(crate) enabled: bool,
    /// Why it is enabled or disabled, for people.
    pub(crate) status_reason: Option<String>,
    /// When a back-end enabled or disabled it last.
    pub(crate) status_changed: Option<String>,
    /// `capabilities.iotEdge` of a device.
    pub(crate) edge: bool,
    /// `managedBy` of a module.
    pub(crate) managed_by: Option<String>,
    /// `deviceScope`: of an Edge device its own, of another device its parent's.
    pub(crate) scope: Option<String>,
    pub(crate) parent_scopes: Vec<String>,
    /// Changes when an identity is deleted and made again.
    pub(crate) generation: String,
    /// Changes with every change of this record.
    pub(crate) etag: String,
}

impl Record {
    pub(crate) fn new(credential: Credential) -> Self {
        Self {
            credential,
            enabled: true,
            status_reason: None,
            status_changed: None,
            edge: false,
            managed_by: None,
            scope: None,
            parent_scopes: Vec::new(),
            generation: uuid::Uuid::new_v4().simple().to_string(),
            etag: fresh_etag(),
        }
    }

    /// Makes it the record of an Edge device, or of one that is none. An Edge device has a scope of its
    /// own for as long as it lives; another device's is its parent's.
    pub(crate) fn set_edge(&mut self, device: &str, edge: bool) {
        self.edge = edge;
        self.scope = match edge {
            true => Some(format!("ms-azure-iot-edge://{device}-{}", self.generation)),
            false => self.parent_scopes.first().cloned(),
        };
    }
}

/// A record's etag, which no other has had.
pub(crate) fn fresh_etag() -> String {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    STANDARD.encode(high.to_be_bytes())
}

/// What outlives a connection that was made with CleanSession 0.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Whether a CONNACK may say that it is there.
    pub(crate) stored: bool,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) last_packet_id: u16,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) subject: Subject,
    pub(crate) qos: u8,
}

impl Session {
    pub(crate) fn granted(&self, subject: Subject) -> Option<u8> {
        self.subscriptions.iter().filter(|s| s.subject == subject).map(|s| s.qos).max()
    }

    fn granted_method(&self, name: &str) -> Option<u8> {
        let covers = |s: &&Subscription| {
            let path = s.filter.strip_prefix("$iothub/methods/POST/").and_then(|path| path.strip_suffix('#'));
            s.subject == Subject::Methods
                && path.is_some_and(|path| path.is_empty() || path.strip_suffix('/') == Some(name))
        };
        self.subscriptions.iter().filter(covers).map(|s| s.qos).max()
    }
}

/// A live connection. Whoever takes it out of its entry has ended the connection: the task behind it
/// sees the mailbox drop and closes the socket.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) commands: Mailbox,
    pub(crate) will: Option<Will>,
    pub(crate) stamp: Stamp,
    pub(crate) clean_session: bool,
    pub(crate) protocol: &'static str,
}

/// What a live connection is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Look into the queue.
    Queue,
    /// Send at the QoS that was granted for `subject`.
    Publish {
        subject: Subject,
        topic: String,
        body: bytes::Bytes,
    },
    /// Call a method, where its filter is granted.
    Method {
        name: String,
        rid: String,
        body: bytes::Bytes,
    },
    Fault(Armed),
}

/// The last will as it is recorded, read and checked at CONNECT.
#[derive(Debug, Clone)]
pub(crate) struct Will {
    pub(crate) body: bytes::Bytes,
    pub(crate) properties: crate::broker::rules::Properties,
}

/// What the hub writes onto every message of a connection and no device can forge.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) auth_method: String,
    pub(crate) generation: String,
    pub(crate) model_id: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: HashMap<Identity, Entry>,
    /// Where somebody writes down what changes.
    changes: Option<Changes>,
}

/// Who may have changed since the writer asked last.
#[derive(Debug)]
struct Changes {
    identities: HashSet<Identity>,
    writer: SyncSender<Wake>,
}

impl Registry {
    /// Marks everybody from now on who may have changed, and everybody who is there; wakes `writer`.
    pub(crate) fn watch(&mut self, writer: SyncSender<Wake>) {
        self.changes = Some(Changes { identities: HashSet::new(), writer });
        self.mark_everybody();
    }

    pub(crate) fn mark_everybody(&mut self) {
        for identity in self.identities() {
            self.mark(&identity);
        }
    }

    /// Every way to change an entry comes through here, whether or not it is then changed.
    fn mark(&mut self, identity: &Identity) {
        let Some(changes) = &mut self.changes else {
            return;
        };
        if changes.identities.is_empty() {
            // Where it cannot be sent the writer has been woken already, or is gone.
            let _ = changes.writer.try_send(Wake::Changed);
        }
        changes.identities.insert(identity.clone());
    }

    /// Some of those who may have changed, at most `most`, who are not marked any more.
    pub(crate) fn take_changed(&mut self, most: usize) -> Vec<Identity> {
        let Some(changes) = &mut self.changes else {
            return Vec::new();
        };
        let taken: Vec<_> = changes.identities.iter().take(most).cloned().collect();
        for identity in &taken {
            changes.identities.remove(identity);
        }
        taken
    }

    pub(crate) fn insert(&mut self, identity: Identity, entry: Entry) {
        self.mark(&identity);
        self.entries.insert(identity, entry);
    }

    pub(crate) fn remove(&mut self, identity: &Identity) -> Option<Entry> {
        self.mark(identity);
        self.entries.remove(identity)
    }

    pub(crate) fn get(&self, identity: &Identity) -> Option<&Entry> {
        self.entries.get(identity)
    }

    pub(crate) fn get_mut(&mut self, identity: &Identity) -> Option<&mut Entry> {
        if self.changes.is_some() && self.entries.contains_key(identity) {
            self.mark(identity);
        }
        self.entries.get_mut(identity)
    }

    /// Those whose entries are so, in order.
    pub(crate) fn matching(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Identity> {
        let found = self.entries.iter().filter(|(_, entry)| wanted(entry));
        let mut identities: Vec<_> = found.map(|(identity, _)| identity.clone()).collect();
        identities.sort();
        identities
    }

    /// The modules of a device, in order.
    pub(crate) fn modules(&self, device: &str) -> Vec<Identity> {
        let of_device = |id: &&Identity| id.device_id() == device && id.module_id().is_some();
        let mut modules: Vec<_> = self.entries.keys().filter(of_device).cloned().collect();
        modules.sort();
        modules
    }

    /// Every identity in order.
    pub(crate) fn identities(&self) -> Vec<Identity> {
        self.matching(|_| true)
    }
}
