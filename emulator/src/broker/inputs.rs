//! Messages to the inputs of modules: from the outputs of others, and from a test.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::{Broker, State};
use crate::c2d::{CloudMessage, checked_topic};
use crate::error::HubError;
use crate::identity::Identity;
use crate::module_routes::{self, Output};
use crate::queue::Queued;

/// What waits for one module.
const MAX_QUEUE: usize = 500;
const MAX_BODY: usize = 262_144;
/// How long it waits: the time to live of the Edge hub's store.
const LIFE: Duration = Duration::from_secs(7200);

impl Broker {
    /// Sends a module's message on the routes from its output; nothing for any other message.
    pub(crate) fn route(&self, sender: &Identity, bag: &str, body: Bytes) {
        if self.routes.is_empty() || sender.module_id().is_none() {
            return;
        }
        let Some(output) = Output::of(sender, bag) else {
            return;
        };
        let message_id: Option<Arc<str>> = output.message_id.as_deref().map(Arc::from);
        let matching = self.routes.iter().filter(|r| r.sender == *sender && r.output == output.name);
        for route in matching {
            let topic = output.topic(&route.receiver, &route.input);
            let (id, body) = (message_id.clone(), body.clone());
            let queued = self.enqueue_input(&route.receiver, &route.input, topic, id, body, None);
            if queued.is_err() {
                let id = message_id.as_deref();
                self.report_queue(&route.receiver, "dropped", Some(&route.input), id, 0);
            }
        }
    }

    pub(crate) fn send_input(
        &self,
        identity: &Identity,
        input: &str,
        message: CloudMessage,
    ) -> Result<String, HubError> {
        if identity.module_id().is_none() || !module_routes::is_input(input) {
            return Err(HubError::argument("an input is a name without / + # of a module"));
        }
        message.check(&self.settings)?;
        let id = message.id();
        let topic = message.input_topic(identity, input, &id);
        self.enqueue_input(identity, input, topic, Some(id.clone()), message.body, message.expiry)?;
        Ok(id.to_string())
    }

    fn enqueue_input(
        &self,
        identity: &Identity,
        input: &str,
        topic: String,
        message_id: Option<Arc<str>>,
        body: Bytes,
        expiry: Option<Timestamp>,
    ) -> Result<(), HubError> {
        if body.len() > MAX_BODY {
            let text = format!("the body has {} bytes, at most {MAX_BODY} are allowed", body.len());
            return Err(HubError::new(413_001, "MessageTooLarge", text));
        }
        let topic = checked_topic(topic)?;
        let mut state = self.state();
        let State { registry, .. } = &mut *state;
        let entry = registry.get_mut(identity).ok_or_else(|| HubError::not_found(identity))?;
        let now = Timestamp::now();
        self.expire(identity, entry.queue.expired(now));
        if entry.queue.len() >= MAX_QUEUE {
            let text = format!("{identity} has {MAX_QUEUE} messages queued");
            return Err(HubError::new(403_004, "DeviceMaximumQueueDepthExceeded", text));
        }
        let expires = expiry.or_else(|| now.checked_add(LIFE).ok()).unwrap_or(Timestamp::MAX);
        let message = Queued { message_id, input: Some(input.into()), topic, body, expires, wish: None };
        self.enqueue(&mut state, identity, message);
        Ok(())
    }
}
