//! The C2D queue seen from the back-end: purged, and what became of its messages.

use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;

use super::Broker;
use crate::error::HubError;
use crate::feedback::{Feedback, Outcome};
use crate::identity::Identity;
use crate::notices::Received;
use crate::queue::Delivery;

impl Broker {
    /// Takes every message out of a device's queue, also those that wait for their PUBACK; how
    /// many there were.
    pub(crate) fn purge(&self, device: &str) -> Result<usize, HubError> {
        let identity = Identity::device(device);
        let mut state = self.state();
        let entry = state.registry.get_mut(&identity).ok_or_else(|| HubError::not_found(&identity))?;
        self.expire(&identity, entry.queue.expired(Timestamp::now()));
        let purged = entry.queue.purge();
        for delivery in &purged {
            self.settle(&identity, "purged", delivery);
        }
        Ok(purged.len())
    }

    /// The next batch of feedback and the token that it is locked under.
    pub(crate) fn receive_feedback(&self) -> Option<(String, Received)> {
        self.expire_everywhere();
        let token = uuid::Uuid::new_v4().to_string();
        let received = self.feedback().receive(token.clone(), Timestamp::now())?;
        Some((token, received))
    }

    pub(crate) fn complete_feedback(&self, token: &str) -> Result<(), HubError> {
        let done = self.feedback().batches.complete(token, Timestamp::now());
        done.then_some(()).ok_or_else(lock_lost)
    }

    pub(crate) fn abandon_feedback(&self, token: &str) -> Result<(), HubError> {
        let done = self.feedback().batches.abandon(token, Timestamp::now());
        done.then_some(()).ok_or_else(lock_lost)
    }

    /// Records for the sender how a message ended.
    pub(super) fn give_feedback(&self, identity: &Identity, delivery: &Delivery, outcome: Outcome) {
        if let Some(wish) = &delivery.wish {
            let (device, id) = (identity.device_id(), delivery.message_id.as_ref());
            self.feedback().record(device, id, wish, outcome, Timestamp::now());
        }
    }

    /// A message expires when somebody looks: at its queue, or at the feedback.
    fn expire_everywhere(&self) {
        let mut state = self.state();
        let now = Timestamp::now();
        // Whoever is looked at for a change counts as changed, and is written where state is kept.
        for identity in state.registry.matching(|entry| entry.queue.has_expired(now)) {
            if let Some(entry) = state.registry.get_mut(&identity) {
                self.expire(&identity, entry.queue.expired(now));
            }
        }
    }

    /// May be locked while the state is, not the other way round.
    pub(super) fn feedback(&self) -> MutexGuard<'_, Feedback> {
        self.feedback.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock_lost() -> HubError {
    HubError::new(412_002, "DeviceMessageLockLost", "the lock of the feedback is over or never was")
}
