//! What the service remembers of each registration, and the bodies of its answers. Pure: the time is
//! given.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::names::RegistrationId;
use crate::time::round_trip_text;

/// The time in which polls are counted.
const POLL_TIME: Duration = Duration::from_secs(10);
/// How many operations of one registration are remembered.
const MAX_OPERATIONS: usize = 16;

/// How a registration came out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Assigned { device_id: String, substatus: &'static str, payload: Option<Value> },
    Failed { code: u32, message: String },
    Disabled,
}

impl Outcome {
    pub(super) fn status(&self) -> &'static str {
        match self {
            Self::Assigned { .. } => "assigned",
            Self::Failed { .. } => "failed",
            Self::Disabled => "disabled",
        }
    }
}

/// How somebody proved to be enrolled, as `registrationState` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attestation {
    /// `symmetricKey` or `x509`.
    pub(super) kind: &'static str,
    pub(super) group: Option<String>,
}

#[derive(Debug)]
struct Operation {
    id: String,
    /// How many more polls are answered with `assigning`.
    assigning_polls: u32,
}

#[derive(Debug)]
pub(super) struct Registration {
    id: RegistrationId,
    attestation: Attestation,
    outcome: Outcome,
    created: Timestamp,
    updated: Timestamp,
    etag: String,
    /// The newest last.
    operations: VecDeque<Operation>,
    polls: VecDeque<Instant>,
}

impl Registration {
    pub(super) fn new(
        id: RegistrationId,
        attestation: Attestation,
        outcome: Outcome,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            attestation,
            outcome,
            created: now,
            updated: now,
            etag: fresh_etag(),
            operations: VecDeque::new(),
            polls: VecDeque::new(),
        }
    }

    /// The device that this registration was assigned to.
    pub(super) fn device_id(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Assigned { device_id, .. } => Some(device_id),
            _ => None,
        }
    }

    /// A later registration came out so.
    pub(super) fn update(&mut self, attestation: Attestation, outcome: Outcome, now: Timestamp) {
        self.attestation = attestation;
        self.outcome = outcome;
        self.updated = now;
        self.etag = fresh_etag();
    }

    /// The id of a new operation.
    pub(super) fn start(&mut self, assigning_polls: u32) -> String {
        let (high, _) = Uuid::new_v4().as_u64_pair();
        let id = format!("4.{high:016x}.{}", Uuid::new_v4());
        if self.operations.len() == MAX_OPERATIONS {
            self.operations.pop_front();
        }
        self.operations.push_back(Operation { id: id.clone(), assigning_polls });
        id
    }

    /// Counts a poll at `now`; false where it is one more than `limit` in ten seconds.
    pub(super) fn may_poll(&mut self, limit: u16, now: Instant) -> bool {
        if limit == 0 {
            return true;
        }
        while self.polls.front().is_some_and(|at| now.saturating_duration_since(*at) >= POLL_TIME) {
            self.polls.pop_front();
        }
        let allowed = self.polls.len() < usize::from(limit);
        if allowed {
            self.polls.push_back(now);
        }
        allowed
    }

    /// The answer to a poll: whether it is final, and the body. `None` for an unknown operation.
    pub(super) fn poll(&mut self, operation: &str, hub: &str) -> Option<(bool, Value)> {
        let known = self.operations.iter_mut().find(|known| known.id == operation)?;
        if known.assigning_polls > 0 {
            known.assigning_polls -= 1;
            let mut body = assigning(operation);
            body["registrationState"] = json!({ "registrationId": self.id.as_str(), "status": "assigning" });
            return Some((false, body));
        }
        let status = self.outcome.status();
        let state = self.state(hub);
        Some((true, json!({ "operationId": operation, "status": status, "registrationState": state })))
    }

    fn state(&self, hub: &str) -> Value {
        let mut state = json!({
            "registrationId": self.id.as_str(),
            "createdDateTimeUtc": round_trip_text(self.created),
            "lastUpdatedDateTimeUtc": round_trip_text(self.updated),
            "status": self.outcome.status(),
            "etag": self.etag,
        });
        match &self.outcome {
            Outcome::Assigned { device_id, substatus, payload } => {
                state["assignedHub"] = hub.into();
                state["deviceId"] = device_id.as_str().into();
                state["substatus"] = (*substatus).into();
                if let Some(payload) = payload {
                    state["payload"] = payload.clone();
                }
                state[self.attestation.kind] = match &self.attestation.group {
                    Some(group) => json!({ "enrollmentGroupId": group }),
                    None => json!({}),
                };
            }
            Outcome::Failed { code, message } => {
                state["errorCode"] = (*code).into();
                state["errorMessage"] = message.as_str().into();
            }
            Outcome::Disabled => {}
        }
        state
    }
}

/// The answer to a registration that was taken.
pub(super) fn assigning(operation: &str) -> Value {
    json!({ "operationId": operation, "status": "assigning" })
}

/// The body of a refusal; `code / 1000` is its status.
pub(super) fn refusal(code: u32, message: &str, now: Timestamp) -> Value {
    json!({
        "errorCode": code,
        "trackingId": Uuid::new_v4().to_string(),
        "message": message,
        "timestampUtc": round_trip_text(now),
    })
}

/// Base64 of a quoted text, as the service has it.
fn fresh_etag() -> String {
    STANDARD.encode(format!("\"{}\"", Uuid::new_v4()))
}

#[cfg(test)]
#[path = "registrations_tests.rs"]
mod tests;
