//! A device or module as the JSON of the registry has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::auth::{Credential, NamedKey};
use crate::error::HubError;
use crate::identity::Identity;
use crate::registry::{Entry, Record};
use crate::time::NEVER;

/// Of a key, in bytes.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;
const MAX_REASON: usize = 128;

/// What a back-end writes. Everything that only the hub sets is passed over, because it comes back
/// from a GET.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Given {
    device_id: Option<String>,
    module_id: Option<String>,
    status: Option<String>,
    status_reason: Option<String>,
    #[serde(deserialize_with = "object")]
    authentication: Option<Authentication>,
    #[serde(deserialize_with = "object")]
    capabilities: Option<Capabilities>,
    managed_by: Option<String>,
    device_scope: Option<String>,
    parent_scopes: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Authentication {
    r#type: Option<String>,
    #[serde(deserialize_with = "object")]
    symmetric_key: Option<SymmetricKey>,
    #[serde(deserialize_with = "object")]
    x509_thumbprint: Option<Thumbprint>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SymmetricKey {
    primary_key: Option<String>,
    secondary_key: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Thumbprint {
    primary_thumbprint: Option<String>,
    secondary_thumbprint: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Capabilities {
    iot_edge: bool,
}

/// Reads an object or null: a list would be taken for the fields in their order.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(value: D) -> Result<Option<T>, D::Error> {
    let object = Option::<Map<String, Value>>::deserialize(value)?;
    object.map(|object| T::deserialize(Value::Object(object)).map_err(D::Error::custom)).transpose()
}

impl Given {
    /// The record of a new identity; its keys are generated where they are absent.
    pub(super) fn record(&self, identity: &Identity) -> Result<Record, HubError> {
        let credential = match &self.authentication {
            Some(given) => given.credential()?,
            None => Authentication::default().credential()?,
        };
        let mut record = Record::new(credential);
        self.describe(identity, &mut record)?;
        Ok(record)
    }

    /// Puts what is given in the place of what `record` has. The credential stays where no
    /// `authentication` is given.
    pub(super) fn apply(&self, identity: &Identity, record: &mut Record) -> Result<(), HubError> {
        if let Some(given) = &self.authentication {
            record.credential = given.credential()?;
        }
        self.describe(identity, record)
    }

    /// Everything but the credential.
    fn describe(&self, identity: &Identity, record: &mut Record) -> Result<(), HubError> {
        let other = |named: &Option<String>, id: Option<&str>| {
            named.as_deref().is_some_and(|named| !named.is_empty() && Some(named) != id)
        };
        if other(&self.device_id, Some(identity.device_id())) || other(&self.module_id, identity.module_id())
        {
            return Err(HubError::argument(format!("the body is about another identity than {identity}")));
        }
        record.enabled = match &self.status {
            None => true,
            Some(status) if status.eq_ignore_ascii_case("enabled") => true,
            Some(status) if status.eq_ignore_ascii_case("disabled") => false,
            Some(_) => return Err(HubError::argument("status must be enabled or disabled")),
        };
        if self.status_reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON) {
            let rule = format!("statusReason must have at most {MAX_REASON} characters");
            return Err(HubError::argument(rule));
        }
        record.status_reason = self.status_reason.clone();
        record.managed_by = self.managed_by.clone();
        let edge = identity.module_id().is_none() && self.capabilities.as_ref().is_some_and(|c| c.iot_edge);
        record.parent_scopes = self.parent_scopes.clone().unwrap_or_default();
        if !edge {
            let parent = self.device_scope.clone().or_else(|| record.parent_scopes.first().cloned());
            record.parent_scopes = parent.into_iter().collect();
        }
        record.set_edge(identity.device_id(), edge);
        Ok(())
    }
}

impl Authentication {
    fn credential(&self) -> Result<Credential, HubError> {
        let thumbprints: Vec<String> = self
            .x509_thumbprint
            .iter()
            .flat_map(|given| [&given.primary_thumbprint, &given.secondary_thumbprint])
            .filter_map(|text| present(text).map(str::to_owned))
            .collect();
        // Clients of before 2017 name no type.
        let implied = if thumbprints.is_empty() { "sas" } else { "selfSigned" };
        let kind = present(&self.r#type).unwrap_or(implied).to_ascii_lowercase();
        match kind.as_str() {
            "sas" => {
                let none = SymmetricKey::default();
                let keys = self.symmetric_key.as_ref().unwrap_or(&none);
                let primary = key("primaryKey", &keys.primary_key)?;
                let secondary = key("secondaryKey", &keys.secondary_key)?;
                Ok(Credential::Keys(Box::new([primary, secondary])))
            }
            "selfsigned" => {
                let good = |text: &String| {
                    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
                };
                if thumbprints.is_empty() || !thumbprints.iter().all(good) {
                    let rule = "a thumbprint must have 40 (SHA-1) or 64 (SHA-256) hexadecimal digits";
                    return Err(HubError::argument(rule));
                }
                Ok(Credential::Thumbprints(thumbprints))
            }
            "certificateauthority" => Ok(Credential::Authority),
            "none" => Ok(Credential::None),
            _ => Err(HubError::argument(
                "authentication.type must be sas, selfSigned, certificateAuthority or none",
            )),
        }
    }
}

fn present(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The key that is given, or a new one.
fn key(name: &str, given: &Option<String>) -> Result<NamedKey, HubError> {
    let Some(text) = present(given) else {
        return NamedKey::random();
    };
    let length = STANDARD.decode(text).map_or(0, |bytes| bytes.len());
    let named = NamedKey::new(text).ok().filter(|_| KEY_LENGTH.contains(&length));
    named.ok_or_else(|| {
        let (least, most) = (KEY_LENGTH.start(), KEY_LENGTH.end());
        HubError::argument(format!("{name} must be the base64 of {least} to {most} bytes"))
    })
}

/// What the registry answers about a device or module.
pub(super) fn document(identity: &Identity, entry: &Entry) -> Value {
    let record = &entry.record;
    let keys = match &record.credential {
        Credential::Keys(keys) => [Some(keys[0].base64.as_str()), Some(keys[1].base64.as_str())],
        _ => [None, None],
    };
    let thumbprints = match &record.credential {
        Credential::Thumbprints(known) => known.as_slice(),
        _ => &[],
    };
    let mut document = json!({
        "deviceId": identity.device_id(),
        "generationId": record.generation,
        "etag": record.etag,
        "connectionState": if entry.link.is_some() { "Connected" } else { "Disconnected" },
        "connectionStateUpdatedTime": entry.connection_changed.as_deref().unwrap_or(NEVER),
        "lastActivityTime": entry.last_activity.as_deref().unwrap_or(NEVER),
        "cloudToDeviceMessageCount": entry.queue.len(),
        "authentication": {
            "symmetricKey": { "primaryKey": keys[0], "secondaryKey": keys[1] },
            "x509Thumbprint": {
                "primaryThumbprint": thumbprints.first(),
                "secondaryThumbprint": thumbprints.get(1),
            },
            "type": record.credential.kind(),
        },
    });
    match identity.module_id() {
        Some(module) => {
            document["moduleId"] = module.into();
            document["managedBy"] = record.managed_by.clone().into();
        }
        None => {
            document["status"] = if record.enabled { "enabled" } else { "disabled" }.into();
            document["statusReason"] = record.status_reason.clone().into();
            document["statusUpdatedTime"] = record.status_changed.as_deref().unwrap_or(NEVER).into();
            document["capabilities"] = json!({ "iotEdge": record.edge });
            if let Some(scope) = &record.scope {
                document["deviceScope"] = scope.as_str().into();
            }
            document["parentScopes"] = record.parent_scopes.clone().into();
        }
    }
    document
}
