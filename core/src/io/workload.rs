//! The workload API of IoT Edge: signs for a module with a key that stays in the Edge daemon, and says
//! which root the Edge hub's certificate is issued by.
//!
//! Source: Microsoft's page "Understand the IoT Edge security daemon" and the API's description in the
//! repository of IoT Edge.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http::{self, Address};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::percent;

/// The daemon as a module sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) address: Address,
    pub(crate) module_id: String,
    pub(crate) generation_id: String,
    pub(crate) api_version: String,
}

impl Workload {
    /// HMAC-SHA256 of `data` with the module's key.
    ///
    /// # Errors
    /// `Network`: the daemon cannot be reached, or not in time. `Auth`: it refuses, or its answer makes no sense.
    pub(crate) fn sign(&self, data: &[u8], deadline: Instant) -> Result<Vec<u8>> {
        let path = format!(
            "/modules/{}/genid/{}/sign",
            percent::encode(&self.module_id),
            percent::encode(&self.generation_id),
        );
        let request = json!({ "keyId": "primary", "algo": "HMACSHA256", "data": STANDARD.encode(data) });
        let digest = self.ask(&path, Some(&request.to_string()), "digest", deadline)?;
        STANDARD.decode(digest).map_err(|_| self.wrong("gave a digest that is not base64"))
    }

    /// PEM of the roots to trust. Errors as of [`Workload::sign`].
    pub(crate) fn trust_bundle(&self, deadline: Instant) -> Result<String> {
        self.ask("/trust-bundle", None, "certificate", deadline)
    }

    /// The text `field` of the answer.
    fn ask(&self, path: &str, json: Option<&str>, field: &str, deadline: Instant) -> Result<String> {
        let path = format!("{path}?api-version={}", percent::encode(&self.api_version));
        let (status, body) = http::ask(&self.address, &path, json, deadline).map_err(|error| {
            let text = format!("the workload API at {} gave no answer: {error}", self.address);
            Error::new(ErrorKind::Network, text)
        })?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        let text = |name: &str| answer.as_ref().and_then(|answer| answer.get(name)).and_then(Value::as_str);
        if status != 200 {
            let why: String = text("message").unwrap_or("no reason").chars().take(200).collect();
            return Err(self.wrong(&format!("answered {status} to {path}: {}", why.escape_debug())));
        }
        let found = text(field).map(str::to_owned);
        found.ok_or_else(|| self.wrong(&format!("gave no \"{field}\"")))
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new(ErrorKind::Auth, format!("the workload API at {} {what}", self.address))
    }
}
