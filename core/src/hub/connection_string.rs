//! Connection strings: `HostName=...;DeviceId=...;SharedAccessKey=...` as the portal prints them.

use std::fmt;
use std::str::FromStr;

use super::identity::{Identity, check_host, check_id};
use super::sas::{SasToken, SharedAccessKey};
use crate::error::{Error, Result};

const NAME: &str = "connection string";

const HOST_NAME: &str = "HostName";
const DEVICE_ID: &str = "DeviceId";
const MODULE_ID: &str = "ModuleId";
const KEY: &str = "SharedAccessKey";
const KEY_NAME: &str = "SharedAccessKeyName";
const SIGNATURE: &str = "SharedAccessSignature";
const GATEWAY: &str = "GatewayHostName";
const X509: &str = "x509";
/// The .NET SDK's name for `x509`.
const X509_CERT: &str = "X509Cert";

const KEYS: [&str; 9] = [HOST_NAME, DEVICE_ID, MODULE_ID, KEY, KEY_NAME, SIGNATURE, GATEWAY, X509, X509_CERT];

/// A connection string taken apart: of a device, a module, or (without a device) a hub policy.
///
/// Reading one checks every part, so that whatever this holds after [`str::parse`] can be used.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectionString {
    pub host_name: String,
    pub device_id: Option<String>,
    pub module_id: Option<String>,
    /// Secret: base64.
    pub shared_access_key: Option<String>,
    pub shared_access_key_name: Option<String>,
    /// Secret: a complete token.
    pub shared_access_signature: Option<String>,
    /// Where to connect instead of `host_name`: an IoT Edge gateway.
    pub gateway_host_name: Option<String>,
    /// The device authenticates with a certificate, which is given apart.
    pub x509: bool,
}

impl ConnectionString {
    /// The text form, with its secrets: for storing it, never for logs.
    pub fn to_connection_string(&self) -> String {
        let parts = [
            (HOST_NAME, Some(self.host_name.as_str())),
            (DEVICE_ID, self.device_id.as_deref()),
            (MODULE_ID, self.module_id.as_deref()),
            (KEY_NAME, self.shared_access_key_name.as_deref()),
            (KEY, self.shared_access_key.as_deref()),
            (SIGNATURE, self.shared_access_signature.as_deref()),
            (GATEWAY, self.gateway_host_name.as_deref()),
            (X509, self.x509.then_some("true")),
        ];
        let mut out = String::new();
        for (key, value) in parts {
            if let Some(value) = value {
                if !out.is_empty() {
                    out.push(';');
                }
                out.push_str(key);
                out.push('=');
                out.push_str(value);
            }
        }
        out
    }

    /// The device or module that it is for.
    ///
    /// # Errors
    /// `Argument` where it is a policy's, without a device.
    pub fn identity(&self) -> Result<Identity> {
        let device_id = self.device_id.as_deref().ok_or_else(|| {
            broken("DeviceId is missing; this looks like a connection string of a hub policy")
        })?;
        Identity::new(&self.host_name, device_id, self.module_id.as_deref())
    }

    /// The host to open the connection to: the gateway if there is one, else the hub.
    pub fn dial_host(&self) -> &str {
        self.gateway_host_name.as_deref().unwrap_or(&self.host_name)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let text = Some(value.to_owned());
        match key {
            HOST_NAME => value.clone_into(&mut self.host_name),
            DEVICE_ID => self.device_id = text,
            MODULE_ID => self.module_id = text,
            KEY => self.shared_access_key = text,
            KEY_NAME => self.shared_access_key_name = text,
            SIGNATURE => self.shared_access_signature = text,
            GATEWAY => self.gateway_host_name = text,
            _ => {
                self.x509 = if value.eq_ignore_ascii_case("true") {
                    true
                } else if value.eq_ignore_ascii_case("false") {
                    false
                } else {
                    return Err(broken(format_args!("{key} must be true or false")));
                }
            }
        }
        Ok(())
    }

    /// The rules between the parts.
    fn check(&self) -> Result<()> {
        if self.host_name.is_empty() {
            return Err(broken("HostName is missing"));
        }
        check_host(HOST_NAME, &self.host_name)?;
        if let Some(gateway) = &self.gateway_host_name {
            check_host(GATEWAY, gateway)?;
        }
        if let Some(id) = &self.device_id {
            check_id(DEVICE_ID, id)?;
        }
        if let Some(id) = &self.module_id {
            check_id(MODULE_ID, id)?;
        }
        let key = self.shared_access_key.as_deref();
        let signature = self.shared_access_signature.as_deref();
        if self.module_id.is_some() && self.device_id.is_none() {
            return Err(broken("ModuleId is there without DeviceId"));
        }
        if self.device_id.is_none() && self.shared_access_key_name.is_none() {
            return Err(broken("DeviceId is missing (or SharedAccessKeyName, for a hub policy)"));
        }
        if self.x509 && (key.is_some() || signature.is_some()) {
            return Err(broken(format_args!(
                "x509=true excludes {}",
                if key.is_some() { KEY } else { SIGNATURE }
            )));
        }
        if key.is_some() && signature.is_some() {
            return Err(broken("SharedAccessKey and SharedAccessSignature exclude each other"));
        }
        if self.shared_access_key_name.is_some() && key.is_none() {
            return Err(broken("SharedAccessKeyName is there without SharedAccessKey"));
        }
        if key.is_none() && signature.is_none() && !self.x509 {
            return Err(broken("no credential: give SharedAccessKey, SharedAccessSignature or x509=true"));
        }
        if let Some(key) = key {
            SharedAccessKey::from_base64(key)?;
        }
        if let Some(signature) = signature {
            signature.parse::<SasToken>()?;
        }
        Ok(())
    }
}

impl FromStr for ConnectionString {
    type Err = Error;

    /// Reads `Key=Value` pairs joined by `;`, in any order. Keys are case-sensitive.
    ///
    /// # Errors
    /// `Argument`, with the key and the rule; never a value of an unknown or a secret part.
    fn from_str(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(broken("must not be empty"));
        }
        if text.trim() != text {
            return Err(broken("must not begin or end with white space (a line break from a file, perhaps)"));
        }
        if text.starts_with("SharedAccessSignature ") {
            return Err(broken("this is a SAS token; a connection string begins with HostName="));
        }
        let mut out = Self::default();
        let mut seen = Vec::new();
        for (i, part) in text.split(';').enumerate() {
            let number = i + 1;
            if part.is_empty() {
                return Err(broken(format_args!("part {number} is empty: one ';' too many")));
            }
            let (key, value) =
                part.split_once('=').ok_or_else(|| broken(format_args!("part {number} has no '='")))?;
            let known =
                KEYS.into_iter().find(|known| *known == key).ok_or_else(|| unknown(number, key, value))?;
            let known = if known == X509_CERT { X509 } else { known };
            if seen.contains(&known) {
                return Err(broken(format_args!("{key} is there twice")));
            }
            seen.push(known);
            if value.trim().is_empty() {
                return Err(broken(format_args!("{key} has no value")));
            }
            if value.trim() != value {
                return Err(broken(format_args!(
                    "the value of {key} must not begin or end with white space"
                )));
            }
            out.set(key, value)?;
        }
        out.check()?;
        Ok(out)
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "hidden");
        f.debug_struct("ConnectionString")
            .field("host_name", &self.host_name)
            .field("device_id", &self.device_id)
            .field("module_id", &self.module_id)
            .field("shared_access_key", &hidden(&self.shared_access_key))
            .field("shared_access_key_name", &self.shared_access_key_name)
            .field("shared_access_signature", &hidden(&self.shared_access_signature))
            .field("gateway_host_name", &self.gateway_host_name)
            .field("x509", &self.x509)
            .finish()
    }
}

fn unknown(number: usize, key: &str, value: &str) -> Error {
    if key.is_empty() {
        return broken(format_args!("part {number} has no key before '='"));
    }
    if let Some(known) = KEYS.iter().find(|known| known.eq_ignore_ascii_case(key.trim())) {
        return broken(format_args!(
            "part {number} must be written {known}: keys are case-sensitive, without spaces"
        ));
    }
    // A stray secret ends up as the key of a part: base64 before its own padding, or a token.
    let is_name = key.len() <= 32 && key.bytes().all(|b| b.is_ascii_alphabetic());
    let is_padding = value.bytes().all(|b| b == b'=');
    if is_name && !is_padding {
        broken(format_args!("{key} is no known key"))
    } else {
        broken(format_args!("part {number} has no known key"))
    }
}

fn broken(rule: impl fmt::Display) -> Error {
    Error::argument(NAME, rule)
}
