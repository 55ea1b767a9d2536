//! What can go wrong: the emulator does not start, or the hub refuses an operation.

use std::fmt;

use crate::identity::Identity;

/// Why the emulator did not start, for a person to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError(String);

impl StartError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// A refusal as the service API and the answers in twin and method topics carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubError {
    /// The HTTP status, which is also the status in an answer's topic.
    pub status: u16,
    /// IoT Hub's own number, for example 404001.
    pub code: u32,
    /// IoT Hub's own name for it, for example `DeviceNotFound`.
    pub name: &'static str,
    pub message: String,
}

impl HubError {
    pub(crate) fn new(code: u32, name: &'static str, message: impl Into<String>) -> Self {
        // The first three digits of every code of IoT Hub are the HTTP status.
        let status = u16::try_from(code / 1000).unwrap_or(500);
        Self { status, code, name, message: message.into() }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(400_004, "ArgumentInvalid", message)
    }

    pub(crate) fn not_found(identity: &Identity) -> Self {
        let (code, name) = match identity.module_id() {
            None => (404_001, "DeviceNotFound"),
            Some(_) => (404_010, "ModuleNotFound"),
        };
        Self::new(code, name, format!("{identity} is not registered"))
    }

    /// The body of a refused twin operation, as a device sees it.
    pub(crate) fn topic_body(&self) -> serde_json::Value {
        serde_json::json!({
            "errorCode": self.code,
            "trackingId": uuid::Uuid::new_v4().simple().to_string(),
            "message": self.message,
            "timestampUtc": crate::time::now_text(),
        })
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.name, self.message)
    }
}

impl std::error::Error for HubError {}
