//! Telemetry towards the events, and messages to devices and modules through their queues.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::rules::{Properties, Subject, set};
use super::{Broker, State};
use crate::c2d::CloudMessage;
use crate::error::HubError;
use crate::events::Event;
use crate::feedback::{Outcome, Wish};
use crate::identity::Identity;
use crate::queue::{Delivery, Queued};
use crate::registry::{Command, Entry, Stamp};
use crate::routing::{Message, MessageSource};
use crate::settings::C2dAtQos0;
use crate::time::now_text;

impl Broker {
    /// Takes a message of a device, stamped by the hub, to where it is routed. `twin` reads the
    /// device's twin where a route asks for it.
    pub(crate) fn record(
        &self,
        identity: &Identity,
        stamp: &Stamp,
        body: Bytes,
        properties: Properties,
        twin: &dyn Fn() -> Option<Value>,
    ) {
        let message = move || {
            let mut system = properties.system;
            let mut stamped =
                |name: &'static str, value: String| set(&mut system, Cow::Borrowed(name), value);
            stamped("iothub-connection-device-id", identity.device_id().to_owned());
            if let Some(module) = identity.module_id() {
                stamped("iothub-connection-module-id", module.to_owned());
            }
            stamped("iothub-connection-auth-method", stamp.auth_method.clone());
            stamped("iothub-connection-auth-generation-id", stamp.generation.clone());
            stamped("iothub-enqueuedtime", now_text());
            stamped("iothub-message-source", "Telemetry".to_owned());
            if let Some(model) = &stamp.model_id {
                stamped("dt-dataschema", model.clone());
            }
            Message { body, system, properties: properties.application }
        };
        if self.routing.is_idle() {
            self.events.emit_if_heard(Some(identity), || message().into());
            return;
        }
        let message = message();
        if self.routing.dispatch(MessageSource::DeviceMessages, identity, &message, twin) {
            self.events.emit_if_heard(Some(identity), || message.into());
        }
    }

    /// Queues a message for a device; its message id.
    pub(crate) fn send_c2d(&self, device: &str, message: CloudMessage) -> Result<String, HubError> {
        let identity = Identity::device(device);
        let mut state = self.state();
        let entry = state.registry.get_mut(&identity).ok_or_else(|| HubError::not_found(&identity))?;
        let now = Timestamp::now();
        self.expire(&identity, entry.queue.expired(now));
        let wish = Wish::of(message.ack.as_deref(), &entry.record.generation);
        let queued = Queued { wish, ..message.into_queued(device, entry.queue.len(), now, &self.settings)? };
        let message_id = queued.message_id.as_deref().unwrap_or_default().to_owned();
        self.enqueue(&mut state, &identity, queued);
        Ok(message_id)
    }

    /// Puts a message at the end of the queue and wakes the connection, if there is one.
    pub(super) fn enqueue(&self, state: &mut State, identity: &Identity, message: Queued) {
        let Some(entry) = state.registry.get_mut(identity) else {
            return;
        };
        let Queued { input, message_id, .. } = &message;
        self.report_queue(identity, "queued", input.as_deref(), message_id.as_deref(), 0);
        entry.queue.push(message);
        Self::command(state, identity, Command::Queue);
    }

    /// The next message to send to a subscriber at `qos`, and the id to send it under (0 at QoS 0).
    pub(crate) fn next_queued(&self, identity: &Identity, qos: u8) -> Option<(u16, Delivery)> {
        let mut state = self.state();
        let entry = state.registry.get_mut(identity)?;
        self.expire(identity, entry.queue.expired(Timestamp::now()));
        if !entry.queue.has_ready(self.settings.c2d_in_flight.into()) {
            return None;
        }
        let packet_id = entry.next_packet_id();
        let delivery = entry.queue.send_next(packet_id, Instant::now() + self.settings.c2d_lock)?;
        self.settle(identity, "delivered", &delivery);
        if qos == 0 {
            if self.settings.c2d_at_qos_0 == C2dAtQos0::Complete {
                entry.queue.complete(packet_id);
                self.settle(identity, "completed", &delivery);
            }
            return Some((0, delivery));
        }
        Some((packet_id, delivery))
    }

    /// What a resumed session has to see again.
    pub(crate) fn resend_queued(&self, identity: &Identity) -> Vec<(u16, Delivery)> {
        let mut state = self.state();
        let Some(entry) = state.registry.get_mut(identity) else {
            return Vec::new();
        };
        if entry.session.granted(Subject::of_queue(identity)) != Some(1) {
            entry.queue.unlock_all();
            return Vec::new();
        }
        self.expire(identity, entry.queue.expired(Timestamp::now()));
        self.requeue(identity, entry.queue.unlock_overdue(Instant::now()));
        let again = entry.queue.resend(Instant::now() + self.settings.c2d_lock);
        for (_, delivery) in &again {
            self.settle(identity, "delivered", delivery);
        }
        again
    }

    /// A PUBACK for a queued message; false where `packet_id` is none's.
    pub(crate) fn complete_queued(&self, identity: &Identity, packet_id: u16) -> bool {
        let mut state = self.state();
        let Some(entry) = state.registry.get_mut(identity) else {
            return false;
        };
        match entry.queue.complete(packet_id) {
            Some(delivery) => {
                self.settle(identity, "completed", &delivery);
                true
            }
            None => {
                if let Some(delivery) = entry.queue.lost(packet_id) {
                    self.settle(identity, "late", delivery);
                }
                false
            }
        }
    }

    /// Returns messages whose lock is over to the queue; when the next lock ends.
    pub(crate) fn unlock_queued(&self, identity: &Identity) -> Option<Instant> {
        let mut state = self.state();
        let entry = state.registry.get_mut(identity)?;
        let overdue = entry.queue.unlock_overdue(Instant::now());
        self.requeue(identity, overdue);
        entry.queue.next_unlock()
    }

    /// An id that no unacknowledged message of the queue has.
    pub(crate) fn next_packet_id(&self, identity: &Identity) -> u16 {
        self.state().registry.get_mut(identity).map_or(1, Entry::next_packet_id)
    }

    pub(super) fn expire(&self, identity: &Identity, expired: Vec<Delivery>) {
        for delivery in &expired {
            self.settle(identity, "expired", delivery);
        }
    }

    fn requeue(&self, identity: &Identity, unlocked: Vec<Delivery>) {
        for delivery in &unlocked {
            self.settle(identity, "unlocked", delivery);
        }
    }

    pub(super) fn settle(&self, identity: &Identity, state: &'static str, delivery: &Delivery) {
        let Delivery { input, message_id, count, .. } = delivery;
        match state {
            "completed" => self.give_feedback(identity, delivery, Outcome::Success),
            "expired" => self.give_feedback(identity, delivery, Outcome::Expired),
            "purged" => self.give_feedback(identity, delivery, Outcome::Purged),
            _ => {}
        }
        self.report_queue(identity, state, input.as_deref(), message_id.as_deref(), *count);
    }

    /// An event about a message of a queue.
    pub(super) fn report_queue(
        &self,
        identity: &Identity,
        state: &'static str,
        input: Option<&str>,
        message_id: Option<&str>,
        delivery_count: u32,
    ) {
        self.events.emit(Some(identity), || Event::Queue {
            state,
            input: input.map(str::to_owned),
            message_id: message_id.map(str::to_owned),
            delivery_count,
        });
    }
}
