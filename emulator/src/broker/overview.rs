//! What the hub knows about its devices and modules, for people.

use serde::Serialize;

use super::Broker;
use super::links::Cause;
use crate::auth::Credential;
use crate::events::Event;
use crate::history::Line;
use crate::identity::Identity;
use crate::registry::{Entry, Trouble};
use crate::time::now_text;

/// One device or module as `GET /emulator/devices` tells it.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    device: String,
    module: Option<String>,
    enabled: bool,
    status_reason: Option<String>,
    /// `key`, `thumbprint`, `authority` or `none`.
    credential: &'static str,
    connected: bool,
    /// When it connected or disconnected last.
    since: Option<String>,
    protocol: Option<&'static str>,
    /// `iothub-connection-auth-method`.
    auth: Option<String>,
    model_id: Option<String>,
    last_activity: Option<String>,
    /// How many messages wait for it.
    queue: usize,
    /// Why it was refused or cut last.
    trouble: Option<Trouble>,
}

impl Overview {
    fn new(identity: &Identity, entry: &Entry) -> Self {
        let link = entry.link.as_ref();
        Self {
            device: identity.device_id().to_owned(),
            module: identity.module_id().map(str::to_owned),
            enabled: entry.record.enabled,
            status_reason: entry.record.status_reason.clone(),
            credential: match entry.record.credential {
                Credential::Keys(_) => "key",
                Credential::Thumbprints(_) => "thumbprint",
                Credential::Authority => "authority",
                Credential::None => "none",
            },
            connected: link.is_some(),
            since: entry.connection_changed.clone(),
            protocol: link.map(|link| link.protocol),
            auth: link.map(|link| link.stamp.auth_method.clone()),
            model_id: entry.model_id.clone(),
            last_activity: entry.last_activity.clone(),
            queue: entry.queue.len(),
            trouble: entry.trouble.clone(),
        }
    }
}

impl Broker {
    /// The number of the newest event, who came and went up to it, and the state of everything
    /// then or a moment later.
    pub(crate) fn overview(&self) -> (u64, Vec<Line>, Vec<Overview>) {
        let state = self.state();
        let (last, operations) = self.events.operations();
        let rows = state.registry.identities().into_iter().filter_map(|identity| {
            state.registry.get(&identity).map(|entry| Overview::new(&identity, entry))
        });
        (last, operations, rows.collect())
    }

    /// Tells that a client was not let in, and keeps it with the identity that it named.
    pub(crate) fn refused(&self, identity: Option<&Identity>, cause: Cause, return_code: Option<u8>) {
        let Cause { code, reason } = cause;
        let mut state = self.state();
        if let Some(entry) = identity.and_then(|identity| state.registry.get_mut(identity)) {
            let (event, time, reason) = ("refused", now_text(), reason.clone());
            entry.trouble = Some(Trouble { event, time, code, reason });
        }
        self.events.emit(identity, || Event::Refused { code, reason, return_code });
    }

    /// What a client of `identity` needs; `None` where it is not registered.
    pub(crate) fn connection_string(&self, identity: &Identity) -> Option<String> {
        let state = self.state();
        let entry = state.registry.get(identity)?;
        let mut text = format!("HostName={};DeviceId={}", self.authority.name(), identity.device_id());
        if let Some(module) = identity.module_id() {
            text.push_str(";ModuleId=");
            text.push_str(module);
        }
        match &entry.record.credential {
            Credential::Keys(keys) => {
                text.push_str(";SharedAccessKey=");
                text.push_str(&keys[0].base64);
            }
            Credential::Thumbprints(_) | Credential::Authority => text.push_str(";x509=true"),
            Credential::None => {}
        }
        Some(text)
    }
}
