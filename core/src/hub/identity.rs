//! Who connects: the hub, the device and perhaps the module, and the names that follow from them.

use std::net::Ipv6Addr;

use super::percent;
use crate::error::{Error, Result};

/// The version of IoT Hub's device interface that this library speaks.
pub const API_VERSION: &str = "2021-04-12";

/// Characters of ids beside letters and digits (Microsoft's page "Identity registry"; `:` and `;`
/// as in the .NET SDK). `+` and `#` are among them there, but MQTT forbids them in topics.
const ID_PUNCTUATION: &[u8] = b"-.%_*?!(),=@$':;";
const ID_MAX: usize = 128;

/// A device or a module of a hub, its ids checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    hub_host: String,
    device_id: String,
    module_id: Option<String>,
}

/// The query at the end of the MQTT user name, in plain text; encoding is done where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsernameQuery<'a> {
    /// `YYYY-MM-DD`, or with `-preview`. The default is [`API_VERSION`].
    pub api_version: &'a str,
    /// The name and version of the client software.
    pub device_client_type: Option<&'a str>,
    /// The Plug and Play model (`dtmi:...`).
    pub model_id: Option<&'a str>,
}

impl Default for UsernameQuery<'_> {
    fn default() -> Self {
        Self { api_version: API_VERSION, device_client_type: None, model_id: None }
    }
}

impl Identity {
    /// `hub_host` is the hub's own host name even where a gateway is dialled; each id is 1 to 128
    /// ASCII letters, digits and `- . % _ * ? ! ( ) , = @ $ ' : ;`.
    ///
    /// # Errors
    /// `Argument`, with the name of the argument as in a connection string and the rule.
    pub fn new(hub_host: &str, device_id: &str, module_id: Option<&str>) -> Result<Self> {
        check_host("HostName", hub_host)?;
        check_id("DeviceId", device_id)?;
        if let Some(module_id) = module_id {
            check_id("ModuleId", module_id)?;
        }
        Ok(Self {
            hub_host: hub_host.to_owned(),
            device_id: device_id.to_owned(),
            module_id: module_id.map(str::to_owned),
        })
    }

    pub fn hub_host(&self) -> &str {
        &self.hub_host
    }

    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    pub fn module_id(&self) -> Option<&str> {
        self.module_id.as_deref()
    }

    /// The MQTT client id: `{device}` or `{device}/{module}`.
    pub fn client_id(&self) -> String {
        self.path("/")
    }

    /// The MQTT user name. Host and ids are never percent-encoded in it, the query's values are.
    pub fn username(&self, query: &UsernameQuery<'_>) -> String {
        let mut out = format!("{}/{}/?api-version={}", self.hub_host, self.client_id(), query.api_version);
        for (name, value) in [("DeviceClientType", query.device_client_type), ("model-id", query.model_id)] {
            if let Some(value) = value {
                out.push('&');
                out.push_str(name);
                out.push('=');
                percent::encode_into(&mut out, value);
            }
        }
        out
    }

    /// What a token is for, not encoded: `{host}/devices/{device}[/modules/{module}]`.
    pub fn resource_uri(&self) -> String {
        format!("{}/devices/{}", self.hub_host, self.path("/modules/"))
    }

    /// `sr` of a token for this identity, encoded.
    ///
    /// The hub decodes the resource and then each id in it. That is harmless but for ids that hold
    /// a `%`, which are therefore encoded once more, as the .NET SDK does.
    pub fn sas_resource(&self) -> String {
        let uri = self.resource_uri();
        percent::encode(&uri.replace('%', "%25"))
    }

    fn path(&self, separator: &str) -> String {
        match &self.module_id {
            None => self.device_id.clone(),
            Some(module) => format!("{}{separator}{module}", self.device_id),
        }
    }
}

/// Checks an id; `name` is the argument as the caller knows it.
pub(crate) fn check_id(name: &str, id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::argument(name, "must not be empty"));
    }
    if id.len() > ID_MAX {
        return Err(Error::argument(name, format_args!("must have at most {ID_MAX} characters")));
    }
    let allowed =
        |c: &char| u8::try_from(*c).is_ok_and(|b| b.is_ascii_alphanumeric() || ID_PUNCTUATION.contains(&b));
    match id.chars().find(|c| !allowed(c)) {
        None => Ok(()),
        Some(c @ ('+' | '#')) => Err(Error::argument(
            name,
            format_args!(
                "must not contain '{c}': IoT Hub registers such ids, but MQTT does not allow it in topics"
            ),
        )),
        Some(c) => Err(Error::argument(
            name,
            format_args!(
                "must not contain {c:?}; ASCII letters, digits and - . % _ * ? ! ( ) , = @ $ ' : ; are allowed"
            ),
        )),
    }
}

/// Checks a host name or address; `name` is the argument as the caller knows it.
pub(crate) fn check_host(name: &str, host: &str) -> Result<()> {
    if host.is_empty() {
        return Err(Error::argument(name, "must not be empty"));
    }
    if host.len() > 253 {
        return Err(Error::argument(name, "must have at most 253 characters"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if host.bytes().all(plain) || host.parse::<Ipv6Addr>().is_ok() {
        return Ok(());
    }
    Err(Error::argument(name, "must be a host name alone, without scheme, port, path or spaces"))
}
