//! Devices and modules are registered, changed and deleted while the hub runs.

use std::ops::ControlFlow;

use super::links::{disabled, unknown};
use super::{Broker, State};
use crate::error::HubError;
use crate::events::Event;
use crate::identity::Identity;
use crate::registry::{Entry, Record, fresh_etag};
use crate::time::now_text;
use crate::twins::Twin;

/// Of one device.
const MAX_MODULES: usize = 50;

impl Broker {
    /// Reads what the hub keeps for `identity`.
    pub(crate) fn look<T>(&self, identity: &Identity, read: impl FnOnce(&Entry) -> T) -> Result<T, HubError> {
        let state = self.state();
        state.registry.get(identity).map(read).ok_or_else(|| HubError::not_found(identity))
    }

    /// Reads what the hub keeps for each identity, in order, as long as `read` wants more.
    pub(crate) fn survey(&self, mut read: impl FnMut(&Identity, &Entry) -> ControlFlow<()>) {
        let state = self.state();
        let identities = state.registry.identities();
        // How far it got is the reader's own business.
        let _ = identities.iter().try_for_each(|identity| match state.registry.get(identity) {
            Some(entry) => read(identity, entry),
            None => ControlFlow::Continue(()),
        });
    }

    /// Registers `identity` with an empty twin.
    pub(crate) fn create(&self, identity: &Identity, record: Record) -> Result<(), HubError> {
        self.create_with(identity, record, Twin::new(&now_text()))
    }

    pub(crate) fn create_with(
        &self,
        identity: &Identity,
        record: Record,
        twin: Twin,
    ) -> Result<(), HubError> {
        if !identity.is_valid() {
            return Err(HubError::argument(format!("'{identity}' is no valid id")));
        }
        let mut state = self.state();
        if state.registry.get(identity).is_some() {
            return Err(match identity.module_id() {
                None => HubError::new(409_001, "DeviceAlreadyExists", format!("{identity} is registered")),
                Some(_) => {
                    HubError::new(409_301, "ModuleAlreadyExistsOnDevice", format!("{identity} is registered"))
                }
            });
        }
        let device = Identity::device(identity.device_id());
        if identity.module_id().is_some() && state.registry.get(&device).is_none() {
            return Err(HubError::not_found(&device));
        }
        if identity.module_id().is_some() && state.registry.modules(identity.device_id()).len() >= MAX_MODULES
        {
            let text = format!("{device} has {MAX_MODULES} modules");
            return Err(HubError::new(413_003, "TooManyModulesOnDevice", text));
        }
        let entry = Entry { twin, ..Entry::new(record) };
        self.notify_life("createDeviceIdentity", identity, &entry);
        state.registry.insert(identity.clone(), entry);
        self.events.emit(Some(identity), || Event::Identity { change: "created" });
        Ok(())
    }

    /// Changes the record of `identity`, which gets a new etag; its connection ends where it, or
    /// its device, is disabled now.
    pub(crate) fn change(
        &self,
        identity: &Identity,
        etag: Option<&str>,
        change: impl FnOnce(&mut Record) -> Result<(), HubError>,
    ) -> Result<(), HubError> {
        let mut state = self.state();
        let entry = state.registry.get_mut(identity).ok_or_else(|| HubError::not_found(identity))?;
        check_etag(etag, &entry.record.etag)?;
        let mut record = entry.record.clone();
        change(&mut record)?;
        if record.enabled != entry.record.enabled {
            record.status_changed = Some(now_text());
        }
        record.etag = fresh_etag();
        entry.record = record;
        let enabled = entry.record.enabled;
        self.events.emit(Some(identity), || Event::Identity { change: "updated" });
        if !enabled {
            for cut in with_modules(&state, identity) {
                self.end_link(&mut state, &cut, None, disabled(&cut));
            }
        }
        Ok(())
    }

    /// Deletes `identity`, its twin and its queue; a device's modules with it.
    pub(crate) fn delete(&self, identity: &Identity, etag: Option<&str>) -> Result<(), HubError> {
        let mut state = self.state();
        let entry = state.registry.get(identity).ok_or_else(|| HubError::not_found(identity))?;
        check_etag(etag, &entry.record.etag)?;
        if identity.module_id().is_none() {
            self.feedback().forget(identity.device_id());
            self.files.forget(identity.device_id());
        }
        for gone in with_modules(&state, identity) {
            self.end_link(&mut state, &gone, None, unknown(&gone));
            if let Some(entry) = state.registry.remove(&gone) {
                self.notify_life("deleteDeviceIdentity", &gone, &entry);
            }
            self.events.emit(Some(&gone), || Event::Identity { change: "deleted" });
        }
        Ok(())
    }
}

/// The modules of a device, then itself; of a module itself alone.
fn with_modules(state: &State, identity: &Identity) -> Vec<Identity> {
    let mut all = match identity.module_id() {
        None => state.registry.modules(identity.device_id()),
        Some(_) => Vec::new(),
    };
    all.push(identity.clone());
    all
}

/// Compares `If-Match`, quoted or not, where there is one; `*` is every etag.
pub(super) fn check_etag(wanted: Option<&str>, current: &str) -> Result<(), HubError> {
    match wanted.map(|etag| etag.trim_matches('"')) {
        None | Some("*") => Ok(()),
        Some(etag) if etag == current => Ok(()),
        Some(_) => Err(HubError::new(412_001, "PreconditionFailed", format!("the etag is {current}"))),
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
