//! What the applications in an agent were told, and what must hold whatever a scenario expects.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

/// The status words of every language: the names of the C codes without their prefix.
const STATUS: [&str; 21] = [
    "OK",
    "INTERNAL",
    "ARGUMENT",
    "STATE",
    "CLOSED",
    "FORKED",
    "FULL",
    "TIMEOUT",
    "NOT_FOUND",
    "UNSUPPORTED",
    "EXPIRED",
    "DROPPED",
    "NETWORK",
    "TLS",
    "AUTH",
    "PROTOCOL",
    "THROTTLED",
    "TOO_LARGE",
    "PRECONDITION",
    "REJECTED",
    "UNKNOWN",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Message,
    Input,
    Method,
    Desired,
    State,
}

impl Kind {
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("message", Self::Message),
        ("input", Self::Input),
        ("method", Self::Method),
        ("desired", Self::Desired),
        ("state", Self::State),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    Other,
}

#[derive(Debug)]
struct Pending {
    client: String,
    operation: Operation,
    done: Option<Value>,
}

#[derive(Debug, Default)]
struct Client {
    freed: bool,
    /// The version of the desired properties that was told last.
    version: Option<u64>,
    /// The last message that was completed well.
    sent: u64,
    closed: bool,
}

/// By the names that the agent knows.
#[derive(Debug, Default)]
pub(crate) struct Log {
    clients: HashMap<String, Client>,
    queues: HashMap<(String, Kind), VecDeque<Value>>,
    operations: HashMap<u64, Pending>,
    /// Bodies of the messages that were expected and came.
    known: HashSet<(String, Vec<u8>)>,
}

impl Log {
    pub(crate) fn add_client(&mut self, client: &str) {
        self.clients.insert(client.to_owned(), Client::default());
    }

    /// Those that are not freed.
    pub(crate) fn living(&self) -> Vec<String> {
        let living = self.clients.iter().filter(|(_, client)| !client.freed);
        living.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn freed(&mut self, client: &str) {
        if let Some(client) = self.clients.get_mut(client) {
            client.freed = true;
        }
    }

    /// The handler for desired properties is new: versions begin again.
    pub(crate) fn desired_anew(&mut self, client: &str) {
        if let Some(client) = self.clients.get_mut(client) {
            client.version = None;
        }
    }

    pub(crate) fn begun(&mut self, number: u64, client: &str, operation: Operation) {
        self.operations.insert(number, Pending { client: client.to_owned(), operation, done: None });
    }

    /// The call was refused: it never completes.
    pub(crate) fn refused(&mut self, number: u64) {
        self.operations.remove(&number);
    }

    /// Takes an event, and checks what holds for every one.
    pub(crate) fn take(&mut self, event: Value) -> Result<(), String> {
        let name = event["client"].as_str().unwrap_or_default().to_owned();
        let client = self.clients.get_mut(&name).ok_or_else(|| format!("an event of no client: {event}"))?;
        let kind = event["event"].as_str().unwrap_or_default();
        if client.freed {
            return Err(format!("an event of a client that is freed: {event}"));
        }
        if let Some(status) = event["status"].as_str()
            && !STATUS.contains(&status)
        {
            return Err(format!("no such status: {event}"));
        }
        match kind {
            "done" => {
                let number = event["id"].as_u64().unwrap_or(0);
                let pending = self.operations.get_mut(&number).filter(|pending| pending.client == name);
                let pending = pending.ok_or_else(|| format!("a completion of nothing: {event}"))?;
                if pending.done.is_some() {
                    return Err(format!("completed twice: {event}"));
                }
                if pending.operation == Operation::Send && event["status"] == "OK" {
                    if number < client.sent {
                        return Err(format!("messages are acknowledged out of order: {event}"));
                    }
                    client.sent = number;
                }
                pending.done = Some(event);
                return Ok(());
            }
            "desired" => {
                let version = event["version"].as_u64().unwrap_or(0);
                if client.version.is_some_and(|known| version <= known) {
                    return Err(format!("desired properties of an old version: {event}"));
                }
                client.version = Some(version);
            }
            "state" => {
                if client.closed {
                    return Err(format!("a state after the last: {event}"));
                }
                client.closed = event["state"] == "closed";
            }
            _ => {}
        }
        let kind = Kind::named(kind).ok_or_else(|| format!("an event of an unknown kind: {event}"))?;
        self.queues.entry((name, kind)).or_default().push_back(event);
        Ok(())
    }

    pub(crate) fn next(&mut self, client: &str, kind: Kind) -> Option<Value> {
        self.queues.get_mut(&(client.to_owned(), kind))?.pop_front()
    }

    pub(crate) fn waiting(&self, client: &str, kind: Kind) -> usize {
        self.queues.get(&(client.to_owned(), kind)).map_or(0, VecDeque::len)
    }

    pub(crate) fn done(&self, number: u64) -> Option<&Value> {
        self.operations.get(&number)?.done.as_ref()
    }

    pub(crate) fn expected(&mut self, client: &str, body: Vec<u8>) {
        self.known.insert((client.to_owned(), body));
    }

    pub(crate) fn is_known(&self, client: &str, body: &[u8]) -> bool {
        self.known.contains(&(client.to_owned(), body.to_vec()))
    }

    /// What must hold once every client is freed.
    pub(crate) fn check_end(&self, again: bool) -> Result<(), String> {
        let open: Vec<_> = self.operations.iter().filter(|(_, pending)| pending.done.is_none()).collect();
        if let Some((number, pending)) = open.first() {
            return Err(format!(
                "{} operations never completed, such as {number} of {}",
                open.len(),
                pending.client
            ));
        }
        if again {
            return Ok(());
        }
        let surplus = self.queues.iter().filter(|((_, kind), _)| *kind != Kind::State);
        match surplus.flat_map(|(_, queue)| queue).next() {
            Some(event) => Err(format!("nobody expected {event}")),
            None => Ok(()),
        }
    }
}
