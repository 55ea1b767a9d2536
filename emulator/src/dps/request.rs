//! The body of a request to register. Pure.

use serde_json::{Map, Value};

use super::names::RegistrationId;

/// D: the largest message of the service.
const MAX_BODY: usize = 96 * 1024;

/// A registration that is answered with an error in its topic.
pub(super) struct Refused {
    pub(super) code: u32,
    /// What the device is told.
    pub(super) message: &'static str,
    /// For people.
    pub(super) reason: String,
}

impl Refused {
    pub(super) fn new(code: u32, message: &'static str, reason: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, message, reason: reason.into() })
    }
}

/// Whether a request to register is well formed; the embedded SDK once sent nothing at all. Its
/// `payload` is for the function of a custom allocation, which there is none of here.
pub(super) fn check(registration: &RegistrationId, body: &[u8]) -> Result<(), Box<Refused>> {
    let bad = |reason: &str| Refused::new(400_004, "The body of the request is not valid.", reason);
    if body.len() > MAX_BODY {
        return Err(Refused::new(413_001, "The message is too large.", format!("{} bytes", body.len())));
    }
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let body: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| bad("the body is no JSON object"))?;
    match body.get("registrationId") {
        None | Some(Value::Null) => {}
        Some(Value::String(id)) if registration.is(id) => {}
        Some(_) => return Err(bad("the body's registrationId is not that of the user name")),
    }
    if body.get("csr").is_some_and(|csr| !csr.is_null()) {
        return Err(bad("certificates from the service (csr) are not had here"));
    }
    if body.get("tpm").is_some_and(|tpm| !tpm.is_null()) {
        return Err(bad("there is no TPM over MQTT"));
    }
    Ok(())
}
