//! Telemetry towards the events, and C2D messages through their queues.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;

use super::Broker;
use super::rules::{Properties, Subject, set};
use crate::c2d::{CloudMessage, Delivery};
use crate::error::HubError;
use crate::events::Event;
use crate::identity::Identity;
use crate::registry::{Command, Entry, Stamp};
use crate::time::now_text;

impl Broker {
    /// Records a message of a device, stamped by the hub.
    pub(crate) fn record(&self, identity: &Identity, stamp: &Stamp, body: Bytes, properties: Properties) {
        self.events.emit(Some(identity), || {
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
            Event::Telemetry { body, system, properties: properties.application }
        });
    }

    /// Queues a message for a device; its message id.
    pub(crate) fn send_c2d(&self, device: &str, message: CloudMessage) -> Result<String, HubError> {
        let identity = Identity::device(device);
        let mut state = self.state();
        let entry = state.registry.get_mut(&identity).ok_or_else(|| HubError::not_found(&identity))?;
        let now = Timestamp::now();
        self.expire(&identity, entry.c2d.expired(now));
        let message_id = entry.c2d.push(device, message, now)?;
        self.settle(&identity, "queued", &message_id, 0);
        Self::command(&state, &identity, Command::C2d);
        Ok(message_id.to_string())
    }

    /// The next message to send to a subscriber at `qos`, and the id to send it under (0 at QoS 0).
    pub(crate) fn next_c2d(&self, identity: &Identity, qos: u8) -> Option<(u16, Delivery)> {
        let mut state = self.state();
        let entry = state.registry.get_mut(identity)?;
        self.expire(identity, entry.c2d.expired(Timestamp::now()));
        if !entry.c2d.has_ready() {
            return None;
        }
        let packet_id = entry.next_packet_id();
        let delivery = entry.c2d.send_next(packet_id, Instant::now() + self.timing.c2d_lock)?;
        self.settle(identity, "delivered", &delivery.message_id, delivery.count);
        if qos == 0 {
            entry.c2d.complete(packet_id);
            self.settle(identity, "completed", &delivery.message_id, delivery.count);
            return Some((0, delivery));
        }
        Some((packet_id, delivery))
    }

    /// What a resumed session has to see again.
    pub(crate) fn resend_c2d(&self, identity: &Identity) -> Vec<(u16, Delivery)> {
        let mut state = self.state();
        let Some(entry) = state.registry.get_mut(identity) else {
            return Vec::new();
        };
        if entry.session.granted(Subject::C2d) != Some(1) {
            entry.c2d.unlock_all();
            return Vec::new();
        }
        self.expire(identity, entry.c2d.expired(Timestamp::now()));
        self.requeue(identity, entry.c2d.unlock_overdue(Instant::now()));
        let again = entry.c2d.resend(Instant::now() + self.timing.c2d_lock);
        for (_, delivery) in &again {
            self.settle(identity, "delivered", &delivery.message_id, delivery.count);
        }
        again
    }

    /// A PUBACK for a C2D message; false where `packet_id` is none's.
    pub(crate) fn complete_c2d(&self, identity: &Identity, packet_id: u16) -> bool {
        let mut state = self.state();
        let entry = state.registry.get_mut(identity);
        let Some(delivery) = entry.and_then(|entry| entry.c2d.complete(packet_id)) else {
            return false;
        };
        self.settle(identity, "completed", &delivery.message_id, delivery.count);
        true
    }

    /// Returns messages whose lock is over to the queue; when the next lock ends.
    pub(crate) fn unlock_c2d(&self, identity: &Identity) -> Option<Instant> {
        let mut state = self.state();
        let entry = state.registry.get_mut(identity)?;
        let overdue = entry.c2d.unlock_overdue(Instant::now());
        self.requeue(identity, overdue);
        entry.c2d.next_unlock()
    }

    /// An id that no unacknowledged C2D message of the session has.
    pub(crate) fn next_packet_id(&self, identity: &Identity) -> u16 {
        self.state().registry.get_mut(identity).map_or(1, Entry::next_packet_id)
    }

    fn expire(&self, identity: &Identity, expired: Vec<Delivery>) {
        for delivery in expired {
            self.settle(identity, "expired", &delivery.message_id, delivery.count);
        }
    }

    fn requeue(&self, identity: &Identity, unlocked: Vec<Delivery>) {
        for delivery in unlocked {
            self.settle(identity, "unlocked", &delivery.message_id, delivery.count);
        }
    }

    fn settle(&self, identity: &Identity, state: &'static str, message_id: &str, delivery_count: u32) {
        self.events.emit(Some(identity), || Event::C2d {
            state,
            message_id: message_id.to_owned(),
            delivery_count,
        });
    }
}
