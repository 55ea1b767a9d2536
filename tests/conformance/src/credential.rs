//! What a client proves itself with: words of the scenarios, made into options.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use iothub_emulator::Hub;
use iothub_mqtt::hub::ConnectionString;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::matching;

struct Certificate {
    pem: String,
    key_pem: String,
    thumbprint: String,
}

fn certificate() -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["gauge".to_owned()]).unwrap().self_signed(&key).unwrap();
    let thumbprint = Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02X}")).collect();
    Certificate { pem: certificate.pem(), key_pem: key.serialize_pem(), thumbprint }
}

/// The certificate that the hub knows.
fn known() -> &'static Certificate {
    static KNOWN: OnceLock<Certificate> = OnceLock::new();
    KNOWN.get_or_init(certificate)
}

/// An authority that has issued nothing that anybody uses.
pub(crate) fn another_authority() -> String {
    certificate().pem
}

pub(crate) fn thumbprint() -> &'static str {
    &known().thumbprint
}

/// Adds the options that `identity` proves itself with in this way; files go to `folder`.
pub(crate) fn give(
    hub: &Hub,
    identity: &str,
    way: &str,
    folder: &Path,
    options: &mut Map<String, Value>,
) -> Result<(), String> {
    let string = |id: &str| hub.connection_string(id).ok_or_else(|| format!("{id} is not registered"));
    let mut set = |name: &str, value: Value| options.insert(name.to_owned(), value);
    match way {
        "key" => set("connection_string", string(identity)?.into()),
        "key_of_another" => {
            let parts = parse(&string(identity)?)?;
            let other = parse(&string("device-2")?)?.shared_access_key.unwrap_or_default();
            let own = parts.shared_access_key.clone().unwrap_or_default();
            set("connection_string", string(identity)?.replace(&own, &other).into())
        }
        // For a client that is to be refused.
        "none" => set("identity", identity_of(hub, identity)),
        "unknown" => {
            let known = string(identity)?;
            set("connection_string", known.replace(&format!("DeviceId={identity}"), "DeviceId=nobody").into())
        }
        "x509" | "x509_of_another" => {
            let another;
            let chosen = if way == "x509" {
                known()
            } else {
                another = certificate();
                &another
            };
            set("x509", json!([chosen.pem, chosen.key_pem]));
            set("connection_string", string(identity)?.into())
        }
        "signer" => {
            let key = parse(&string(identity)?)?.shared_access_key.unwrap_or_default();
            let label = format!("{} {identity}", hub.name());
            keys().lock().unwrap().insert(label.clone(), key);
            set("identity", identity_of(hub, identity));
            set("sas_signer", label.into())
        }
        "x509_files" => {
            let certificate = known();
            let write = |name: &str, text: &str| {
                let path = folder.join(name);
                std::fs::write(&path, text)
                    .map(|()| path.display().to_string())
                    .map_err(|error| error.to_string())
            };
            set("x509_files", json!([write("cert", &certificate.pem)?, write("key", &certificate.key_pem)?]));
            set("connection_string", string(identity)?.into())
        }
        "token" => {
            set("identity", identity_of(hub, identity));
            set("sas_token", token(&string(identity)?, 3600)?.into())
        }
        "expired_token" => {
            set("identity", identity_of(hub, identity));
            set("sas_token", token(&string(identity)?, -3600)?.into())
        }
        "token_source" => {
            set("identity", identity_of(hub, identity));
            let tokens = [token(&string(identity)?, 3600)?, token(&string(identity)?, 7200)?];
            set("sas_token_source", json!(tokens))
        }
        "token_source_that_begins_badly" => {
            set("identity", identity_of(hub, identity));
            let tokens = [token(&string(identity)?, -3600)?, token(&string(identity)?, 7200)?];
            set("sas_token_source", json!(tokens))
        }
        other => return Err(format!("there is no credential {other:?}")),
    };
    Ok(())
}

/// The keys that agents may have things signed with, by what their options call them.
fn keys() -> &'static Mutex<HashMap<String, String>> {
    static KEYS: OnceLock<Mutex<HashMap<String, String>>> = OnceLock::new();
    KEYS.get_or_init(Mutex::default)
}

/// The signature that an agent asks for.
pub(crate) fn sign(question: &Value) -> Option<String> {
    let key = keys().lock().unwrap().get(question["key"].as_str()?).cloned()?;
    let data = matching::from_hex(question["data"].as_str()?).ok()?;
    Some(matching::to_hex(&SharedAccessKey::from_base64(&key).ok()?.sign(&data)))
}

fn parse(text: &str) -> Result<ConnectionString, String> {
    text.parse().map_err(|error: iothub_mqtt::Error| error.to_string())
}

/// Host, device and perhaps module.
fn identity_of(hub: &Hub, identity: &str) -> Value {
    std::iter::once(hub.name()).chain(identity.split('/')).collect::<Vec<_>>().into()
}

/// A token that is good for some seconds, or has not been for as many.
fn token(connection_string: &str, seconds: i64) -> Result<String, String> {
    let parts = parse(connection_string)?;
    let key = SharedAccessKey::from_base64(&parts.shared_access_key.clone().unwrap_or_default())
        .map_err(|error| error.to_string())?;
    let resource = parts.identity().map_err(|error| error.to_string())?.resource_uri();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(sas::token(&sas::encode_resource(&resource), &key, now.saturating_add_signed(seconds), None))
}
