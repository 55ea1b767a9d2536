//! Twins: what devices read and report, what back-ends read and desire.

use std::ops::ControlFlow;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Broker;
use super::lifecycle::check_etag;
use super::rules::Subject;
use crate::auth::Credential;
use crate::error::HubError;
use crate::events::Event;
use crate::faults::FaultKind;
use crate::identity::Identity;
use crate::query::Collection;
use crate::registry::{Command, Entry};
use crate::settings::{EmptyPatch, PatchAnswer, PatchVersion, SectionTooLarge};
use crate::time::{NEVER, now_text};
use crate::twins::Refused;
use crate::version_last;

/// The answer to a twin request of a device.
pub(crate) struct TwinAnswer {
    pub(crate) status: u16,
    pub(crate) version: Option<u64>,
    pub(crate) body: Bytes,
}

impl From<HubError> for TwinAnswer {
    fn from(error: HubError) -> Self {
        Self { status: error.status, version: None, body: error.topic_body().to_string().into() }
    }
}

impl Broker {
    /// `None` where a fault swallows the answer.
    pub(crate) fn read_twin(&self, identity: &Identity) -> Option<TwinAnswer> {
        if let Some(fault) = self.twin_fault(identity) {
            let error = fault?;
            self.twin_refused(identity, None, &error);
            return Some(error.into());
        }
        Some(match self.state().registry.get(identity) {
            Some(entry) => TwinAnswer {
                status: 200,
                version: None,
                body: version_last::text(&entry.twin.for_device()).into(),
            },
            None => HubError::not_found(identity).into(),
        })
    }

    /// `None` where a fault swallows the answer; the report is lost with it.
    /// `base` is the version that the device believes its reported properties to have, as sent.
    pub(crate) fn report(&self, identity: &Identity, body: &[u8], base: Option<&str>) -> Option<TwinAnswer> {
        let result = match self.twin_fault(identity) {
            Some(None) => return None,
            Some(Some(error)) => Err(error),
            None => self.try_report(identity, body, base),
        };
        Some(match result {
            Ok(version) => {
                let told = self.settings.patch_answer_version == PatchAnswer::Always;
                TwinAnswer { status: 204, version: told.then_some(version), body: Bytes::new() }
            }
            Err(error) => {
                self.twin_refused(identity, Some("reported"), &error);
                error.into()
            }
        })
    }

    fn twin_refused(&self, identity: &Identity, section: Option<&'static str>, error: &HubError) {
        let (status, reason) = (error.status, error.to_string());
        self.events.emit(Some(identity), || Event::TwinRefused { section, status, reason });
    }

    /// What a fault answers a twin request with, if there is one: with `Some(None)` nothing.
    fn twin_fault(&self, identity: &Identity) -> Option<Option<HubError>> {
        if self.take_fault(FaultKind::NoAnswer, identity).is_some() {
            return Some(None);
        }
        let error = if self.take_fault(FaultKind::Throttle, identity).is_some() {
            HubError::new(429_001, "ThrottlingException", "throttled on demand")
        } else {
            let code = self.take_fault(FaultKind::ServerError, identity)?.code;
            HubError::new(u32::from(code) * 1000 + 1, "ServerError", "failed on demand")
        };
        Some(Some(error))
    }

    fn try_report(&self, identity: &Identity, body: &[u8], base: Option<&str>) -> Result<u64, HubError> {
        let patch: Map<String, Value> = match serde_json::from_slice(body) {
            Ok(Value::Object(patch)) => patch,
            Ok(_) => {
                return Err(HubError::argument("the reported properties must be a JSON object"));
            }
            Err(error) => {
                return Err(HubError::argument(format!("the reported properties are not JSON: {error}")));
            }
        };
        let mut state = self.state();
        let entry = state.registry.get_mut(identity).ok_or_else(|| HubError::not_found(identity))?;
        let current = entry.twin.reported_version();
        if self.settings.twin_patch_version == PatchVersion::Compared
            && let Some(base) = base
            && base.parse() != Ok(current)
        {
            let text = format!("the reported properties have the version {current} and not {base}");
            return Err(HubError::new(412_001, "PreconditionFailed", text));
        }
        if patch.is_empty() && self.settings.twin_empty_patch == EmptyPatch::Keeps {
            return Ok(current);
        }
        let reported = entry.twin.report(&patch, &now_text(), self.settings.twin_size);
        let version = reported.map_err(|refused| match (refused, self.settings.twin_too_large) {
            (Refused::TooLarge(text), SectionTooLarge::BadRequest) => HubError::argument(text),
            (refused, _) => refused.into(),
        })?;
        self.notify_twin(identity, entry, false, None, Some(("reported", &patch)));
        self.events.emit(Some(identity), || Event::Twin {
            section: "reported",
            version,
            patch: patch.into(),
        });
        Ok(version)
    }

    /// The twin as the service API shows it.
    pub(crate) fn twin(&self, identity: &Identity) -> Result<Value, HubError> {
        let state = self.state();
        let entry = state.registry.get(identity).ok_or_else(|| HubError::not_found(identity))?;
        Ok(document(identity, entry))
    }

    /// The twins of all devices, or of all modules, in order.
    pub(crate) fn twins(&self, of: Collection) -> Vec<Value> {
        let mut twins = Vec::new();
        self.survey(|identity, entry| {
            if identity.module_id().is_some() == (of == Collection::Modules) {
                twins.push(document(identity, entry));
            }
            ControlFlow::Continue(())
        });
        twins
    }

    /// A back-end's change: `properties.desired` and `tags`, merged, or with `replace` put in the
    /// place of what was there. `etag` is compared where there is one. The new twin.
    pub(crate) fn update_twin(
        &self,
        identity: &Identity,
        change: &Map<String, Value>,
        replace: bool,
        etag: Option<&str>,
    ) -> Result<Value, HubError> {
        let part = |value: Option<&Value>, name: &str| match value {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object.clone())),
            Some(_) => Err(HubError::argument(format!("{name} must be an object"))),
        };
        let properties = part(change.get("properties"), "properties")?;
        let desired = part(properties.as_ref().and_then(|p| p.get("desired")), "properties.desired")?;
        let tags = part(change.get("tags"), "tags")?;

        let mut state = self.state();
        let entry = state.registry.get_mut(identity).ok_or_else(|| HubError::not_found(identity))?;
        check_etag(etag, &twin_etag(entry))?;
        // Both are tried on a copy, so that a refused half leaves the twin as it was.
        let mut twin = entry.twin.clone();
        let way = self.settings.twin_size;
        if let Some(tags) = &tags {
            twin.tag(tags, replace, way)?;
        }
        let desired = match desired {
            Some(desired) => Some(twin.desire(&desired, replace, &now_text(), way)?),
            None => None,
        };
        entry.twin = twin;
        let document = document(identity, entry);
        let patch = desired.as_ref().map(|desired| ("desired", &desired.patch));
        if tags.is_some() || patch.is_some() {
            self.notify_twin(identity, entry, replace, tags.as_ref(), patch);
        }
        if let Some(desired) = desired {
            let version = desired.version;
            let topic = format!("$iothub/twin/PATCH/properties/desired/?$version={version}");
            let body = version_last::text(&desired.notification()).into();
            self.events.emit(Some(identity), || Event::Twin {
                section: "desired",
                version,
                patch: desired.patch.into(),
            });
            let subject = Subject::Desired;
            Self::command(&state, identity, Command::Publish { subject, topic, body });
        }
        Ok(document)
    }
}

/// What a device reports leaves it as it is: a back-end compares it with what back-ends wrote.
fn twin_etag(entry: &Entry) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(entry.twin.changes().to_be_bytes())
}

pub(super) fn document(identity: &Identity, entry: &Entry) -> Value {
    let thumbprints = match &entry.record.credential {
        Credential::Thumbprints(known) => known.as_slice(),
        _ => &[],
    };
    let mut document = json!({
        "deviceId": identity.device_id(),
        "etag": twin_etag(entry),
        "deviceEtag": entry.record.etag,
        "status": if entry.record.enabled { "enabled" } else { "disabled" },
        "statusReason": entry.record.status_reason,
        "statusUpdateTime": entry.record.status_changed.as_deref().unwrap_or(NEVER),
        "connectionState": if entry.link.is_some() { "Connected" } else { "Disconnected" },
        "lastActivityTime": entry.last_activity.as_deref().unwrap_or(NEVER),
        "cloudToDeviceMessageCount": entry.queue.len(),
        "authenticationType": entry.record.credential.kind(),
        "x509Thumbprint": {
            "primaryThumbprint": thumbprints.first(),
            "secondaryThumbprint": thumbprints.get(1),
        },
        "modelId": entry.model_id.as_deref().unwrap_or(""),
        "version": entry.twin.version(),
        "tags": entry.twin.tags(),
        "properties": entry.twin.for_service(),
        "capabilities": { "iotEdge": entry.record.edge },
    });
    if let Some(module) = identity.module_id() {
        document["moduleId"] = module.into();
    }
    if let Some(scope) = &entry.record.scope {
        document["deviceScope"] = scope.as_str().into();
        document["parentScopes"] = entry.record.parent_scopes.clone().into();
    }
    document
}
