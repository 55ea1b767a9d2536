//! What the hub has recorded, by identity and kind.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::matching;

type Key = (String, String);

#[derive(Debug)]
pub(crate) struct HubLog {
    events: Receiver<Value>,
    queues: HashMap<Key, VecDeque<Value>>,
    known: HashSet<(String, Vec<u8>)>,
}

impl HubLog {
    pub(crate) fn new(events: Receiver<Value>) -> Self {
        Self { events, queues: HashMap::new(), known: HashSet::new() }
    }

    /// What a hub that was started anew says from now on.
    pub(crate) fn listen_to(&mut self, events: Receiver<Value>) {
        self.take_all();
        self.events = events;
    }

    fn take(&mut self, event: Value) {
        let mut from = event["device"].as_str().unwrap_or_default().to_owned();
        if let Some(module) = event["module"].as_str() {
            from = format!("{from}/{module}");
        }
        let kind = event["event"].as_str().unwrap_or_default().to_owned();
        self.queues.entry((from, kind)).or_default().push_back(event);
    }

    fn take_all(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
    }

    /// The next event of a kind; `None` when there was none until then.
    pub(crate) fn next(&mut self, from: &str, kind: &str, until: Instant) -> Option<Value> {
        let key = (from.to_owned(), kind.to_owned());
        loop {
            if let Some(event) = self.queues.get_mut(&key).and_then(VecDeque::pop_front) {
                return Some(event);
            }
            let left = until.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).ok()?;
            self.take(event);
        }
    }

    pub(crate) fn expected(&mut self, from: &str, body: Vec<u8>) {
        self.known.insert((from.to_owned(), body));
    }

    pub(crate) fn is_known(&self, from: &str, body: &[u8]) -> bool {
        self.known.contains(&(from.to_owned(), body.to_vec()))
    }

    /// Telemetry that nobody expected; a copy of what was expected is none where `again` allows it.
    pub(crate) fn surplus(&mut self, again: bool) -> Option<String> {
        self.take_all();
        for ((from, kind), queue) in &self.queues {
            for event in queue.iter().filter(|_| kind == "telemetry") {
                let body = told_body(event);
                if !(again && self.is_known(from, &body)) {
                    return Some(format!("{from} sent {}, which nobody expected", matching::show(&body)));
                }
            }
        }
        None
    }
}

pub(crate) fn told_body(event: &Value) -> Vec<u8> {
    match (event["body"].as_str(), event["body_base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(base64)) => STANDARD.decode(base64).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}
