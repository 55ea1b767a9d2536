//! Direct methods: a back-end's request waits here for the device's answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::Broker;
use crate::error::HubError;
use crate::events::Event;
use crate::identity::Identity;
use crate::registry::Command;

const MAX_PAYLOAD: usize = 128 * 1024;

#[derive(Debug)]
struct Call {
    callee: Identity,
    answer: oneshot::Sender<(u16, Bytes)>,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    /// By request id.
    waiting: Mutex<HashMap<String, Call>>,
    /// Somebody connected or subscribed.
    pub(super) arrivals: Notify,
}

impl Calls {
    /// Keeps a call for its answer, unless `limit` of them wait for the same device or module.
    fn add(&self, rid: &str, call: Call, limit: usize) -> Result<(), HubError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.values().filter(|other| other.callee == call.callee).count() >= limit {
            let text = format!("{} has {limit} methods to answer", call.callee);
            return Err(HubError::new(403_800, "DeviceMaximumInflightMethodExceeded", text));
        }
        waiting.insert(rid.to_owned(), call);
        Ok(())
    }
}

/// Forgets a call however it ends.
struct Forget<'a>(&'a Calls, &'a str);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(self.1);
    }
}

impl Broker {
    /// Calls a method and waits for the answer: its status and its JSON, null where it is empty.
    pub(crate) async fn call_method(
        &self,
        identity: &Identity,
        name: &str,
        payload: Option<&Value>,
        connect: Duration,
        response: Duration,
    ) -> Result<(u16, Value), HubError> {
        let bad = |b: u8| !b.is_ascii_graphic() || b"$()<>@,;:\\\"/[]?={}".contains(&b);
        if name.is_empty() || name.len() > 100 || name.bytes().any(bad) {
            return Err(HubError::argument(
                "the method's name must have 1 to 100 printable characters and no separator",
            ));
        }
        let body: Bytes = payload.map(Value::to_string).unwrap_or_default().into();
        if body.len() > MAX_PAYLOAD {
            return Err(HubError::new(413_001, "MessageTooLarge", "the payload exceeds 128 KiB"));
        }
        self.wait_for_subscriber(identity, name, Instant::now() + connect).await?;

        let rid = uuid::Uuid::new_v4().to_string();
        let (sender, receiver) = oneshot::channel();
        self.methods.add(
            &rid,
            Call { callee: identity.clone(), answer: sender },
            self.settings.methods_in_flight.into(),
        )?;
        let _forget = Forget(&self.methods, &rid);
        let command = Command::Method { name: name.to_owned(), rid: rid.clone(), body };
        if !Self::command(&self.state(), identity, command) {
            return Err(not_online(identity));
        }
        let answer = timeout(response, receiver).await;
        let Ok(Ok((status, body))) = answer else {
            return Err(HubError::new(
                504_101,
                "GatewayTimeout",
                format!("{identity} did not answer the method within {} s", response.as_secs_f32()),
            ));
        };
        if body.len() > MAX_PAYLOAD {
            return Err(bad_answer("it exceeds 128 KiB".into()));
        }
        let value = match &body[..] {
            [] => Value::Null,
            text => serde_json::from_slice(text).map_err(|e| bad_answer(format!("it is not JSON: {e}")))?,
        };
        self.events.emit(Some(identity), || Event::Method {
            name: name.to_owned(),
            status,
            request: payload.cloned().unwrap_or_default(),
            response: value.clone(),
        });
        Ok((status, value))
    }

    async fn wait_for_subscriber(
        &self,
        identity: &Identity,
        name: &str,
        deadline: Instant,
    ) -> Result<(), HubError> {
        loop {
            // Made before the look: it sees everybody who arrives from here on.
            let arrival = self.methods.arrivals.notified();
            if self.state().registry.get(identity).is_none() {
                return Err(HubError::not_found(identity));
            }
            if self.granted_method(identity, name).is_some() {
                return Ok(());
            }
            if timeout_at(deadline, arrival).await.is_err() {
                return Err(not_online(identity));
            }
        }
    }

    /// An answer of a device; late and unknown ones are dropped silently.
    pub(crate) fn answer_method(&self, identity: &Identity, rid: &str, status: u16, body: Bytes) {
        let mut waiting = self.methods.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.get(rid).is_some_and(|call| call.callee == *identity)
            && let Some(call) = waiting.remove(rid)
        {
            // The caller may have gone.
            let _ = call.answer.send((status, body));
        }
    }
}

fn bad_answer(why: String) -> HubError {
    HubError::new(502_000, "BadDeviceResponse", format!("the device's answer: {why}"))
}

fn not_online(identity: &Identity) -> HubError {
    HubError::new(
        404_103,
        "DeviceNotOnline",
        format!("{identity} is not connected or did not subscribe to methods"),
    )
}
