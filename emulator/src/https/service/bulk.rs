//! The identity registry: many devices and modules at once.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Shared;
use super::identities::Given;
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::json;
use crate::https::refusal::{ERROR_CODE, authorize};
use crate::identity::Identity;

/// In one request.
const MAX_ENTRIES: usize = 100;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new().route("/devices", post(update_registry))
}

/// One entry of the request; what else is in it is a [`Given`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    module_id: Option<String>,
    #[serde(rename = "eTag", alias = "etag")]
    etag: Option<String>,
    #[serde(default)]
    import_mode: ImportMode,
    #[serde(rename = "twinETag")]
    twin_etag: Option<String>,
    tags: Option<Map<String, Value>>,
    properties: Option<Map<String, Value>>,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq)]
#[serde(try_from = "String")]
enum ImportMode {
    #[default]
    CreateOrUpdate,
    CreateOrUpdateIfMatch,
    Create,
    Update,
    UpdateIfMatch,
    Delete,
    DeleteIfMatch,
    UpdateTwin,
    UpdateTwinIfMatch,
}

const MODES: [(&str, ImportMode); 9] = [
    ("createOrUpdate", ImportMode::CreateOrUpdate),
    ("createOrUpdateIfMatchETag", ImportMode::CreateOrUpdateIfMatch),
    ("create", ImportMode::Create),
    ("update", ImportMode::Update),
    ("updateIfMatchETag", ImportMode::UpdateIfMatch),
    ("delete", ImportMode::Delete),
    ("deleteIfMatchETag", ImportMode::DeleteIfMatch),
    ("updateTwin", ImportMode::UpdateTwin),
    ("updateTwinIfMatchETag", ImportMode::UpdateTwinIfMatch),
];

/// In any case: the SDK for Node writes `Update`, the documentation `update`.
impl TryFrom<String> for ImportMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = MODES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text));
        known.map(|(_, mode)| *mode).ok_or_else(|| {
            let names = MODES.map(|(name, _)| name);
            format!("importMode is not known, expected one of {}", names.join(", "))
        })
    }
}

/// Each entry is tried, whatever becomes of the others; none where an identity is there twice.
async fn update_registry(
    State(broker): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HubError> {
    authorize(&broker, &headers, Right::RegistryWrite, &["devices"])?;
    let entries: Vec<Value> = json::any(&body)?;
    if entries.len() > MAX_ENTRIES {
        let text = format!("{} entries, at most {MAX_ENTRIES} are allowed", entries.len());
        return Err(HubError::new(413_002, "TooManyDevices", text));
    }
    let entries: Vec<(Entry, Given)> = entries.into_iter().map(read).collect::<Result<_, _>>()?;
    let mut seen = HashSet::new();
    let twice = entries.iter().find(|(entry, _)| !seen.insert(entry.identity()));
    let errors: Vec<Value> = match twice {
        Some((entry, _)) => {
            let text = format!("{} is there more than once", entry.identity());
            vec![entry.failure(&HubError::new(400_011, "DeviceDefinedMultipleTimes", text))]
        }
        None => entries
            .iter()
            .filter_map(|(entry, given)| Some(entry.failure(&entry.carry_out(&broker, given).err()?)))
            .collect(),
    };
    let successful = errors.is_empty();
    let result = Json(json!({ "isSuccessful": successful, "errors": errors, "warnings": [] }));
    Ok(match successful {
        true => result.into_response(),
        false => {
            let name = [(ERROR_CODE, "BulkRegistryOperationFailure")];
            (StatusCode::BAD_REQUEST, name, result).into_response()
        }
    })
}

fn read(value: Value) -> Result<(Entry, Given), HubError> {
    if !value.is_object() {
        return Err(HubError::argument("each entry must be an object"));
    }
    let failed = |e: serde_json::Error| json::unreadable("an entry", &e);
    let given = Given::deserialize(&value).map_err(failed)?;
    Ok((serde_json::from_value(value).map_err(failed)?, given))
}

impl Entry {
    fn identity(&self) -> Identity {
        match self.module_id.as_deref().filter(|id| !id.is_empty()) {
            Some(module) => Identity::module(self.id.as_str(), module),
            None => Identity::device(self.id.as_str()),
        }
    }

    fn failure(&self, error: &HubError) -> Value {
        json!({
            "deviceId": self.id,
            "moduleId": self.module_id,
            "errorCode": error.name,
            "errorStatus": error.message,
        })
    }

    fn carry_out(&self, broker: &Broker, given: &Given) -> Result<(), HubError> {
        let identity = self.identity();
        // An absent etag matches nothing where one is asked for.
        let etag = Some(self.etag.as_deref().unwrap_or_default());
        let create = || broker.create(&identity, given.record(&identity)?);
        let update = |etag| broker.change(&identity, etag, |record| given.apply(&identity, record));
        let known = broker.look(&identity, |_| ()).is_ok();
        match self.import_mode {
            ImportMode::Delete => return broker.delete(&identity, None),
            ImportMode::DeleteIfMatch => return broker.delete(&identity, etag),
            ImportMode::UpdateTwin => return self.change_twin(broker, &identity, None),
            ImportMode::UpdateTwinIfMatch => {
                let etag = Some(self.twin_etag.as_deref().unwrap_or_default());
                return self.change_twin(broker, &identity, etag);
            }
            ImportMode::Create => create()?,
            ImportMode::CreateOrUpdate | ImportMode::CreateOrUpdateIfMatch if !known => create()?,
            ImportMode::CreateOrUpdate | ImportMode::Update => update(None)?,
            ImportMode::CreateOrUpdateIfMatch | ImportMode::UpdateIfMatch => update(etag)?,
        }
        self.change_twin(broker, &identity, self.twin_etag.as_deref())
    }

    /// Merges the tags and desired properties that the entry has.
    fn change_twin(&self, broker: &Broker, identity: &Identity, etag: Option<&str>) -> Result<(), HubError> {
        let mut change = Map::new();
        if let Some(tags) = &self.tags {
            change.insert("tags".into(), tags.clone().into());
        }
        if let Some(properties) = &self.properties {
            change.insert("properties".into(), properties.clone().into());
        }
        if change.is_empty() && etag.is_none() {
            return broker.look(identity, |_| ());
        }
        broker.update_twin(identity, &change, false, etag).map(|_| ())
    }
}
