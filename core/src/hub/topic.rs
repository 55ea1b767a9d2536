//! The topics of IoT Hub: those that a device publishes to, and those that come in.
//!
//! Ids stand in topics as they are, never percent-encoded. Request ids go out and come back
//! verbatim; a caller that makes them up keeps to unreserved characters.

use std::borrow::Cow;

use super::identity::Identity;
use super::percent;

/// The filter for answers to twin requests.
pub const TWIN_RESPONSES: &str = "$iothub/twin/res/#";
/// The filter for changes of desired properties.
pub const TWIN_DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
/// The filter for direct methods.
pub const METHODS: &str = "$iothub/methods/POST/#";

/// What comes before the request id of a twin read, a reported patch, and (after the status) a
/// method's answer.
pub(crate) const TWIN_GET: &str = "$iothub/twin/GET/";
pub(crate) const TWIN_REPORTED: &str = "$iothub/twin/PATCH/properties/reported/";
pub(crate) const METHOD_RESPONSES: &str = "$iothub/methods/res/";

/// The telemetry topic without a bag: `devices/{device}[/modules/{module}]/messages/events/`.
pub fn telemetry_prefix(id: &Identity) -> String {
    format!("{}messages/events/", root(id))
}

/// The filter for cloud-to-device messages; a module gets none.
pub fn devicebound_filter(id: &Identity) -> Option<String> {
    id.module_id().is_none().then(|| format!("{}messages/devicebound/#", root(id)))
}

/// The filter for the inputs of a module; a device has none.
pub fn inputs_filter(id: &Identity) -> Option<String> {
    id.module_id().map(|_| format!("{}#", root(id)))
}

/// Where to publish, with an empty body, to read the twin.
pub fn twin_get(rid: &str) -> String {
    format!("{TWIN_GET}?$rid={rid}")
}

/// Where to publish a merge patch of the reported properties.
pub fn twin_patch(rid: &str) -> String {
    format!("{TWIN_REPORTED}?$rid={rid}")
}

/// Where to publish the answer to a method; `rid` exactly as [`Incoming::Method`] gave it.
pub fn method_response(status: u16, rid: &str) -> String {
    format!("{METHOD_RESPONSES}{status}/?$rid={rid}")
}

/// What a message from the hub is, by its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A cloud-to-device message.
    C2d { bag: &'a str },
    /// A message on an input of a module; the name is decoded.
    Input { name: Cow<'a, str>, bag: &'a str },
    /// The answer to a twin request.
    TwinResponse(TwinResponse<'a>),
    /// A change of the desired properties.
    Desired { version: u64 },
    /// A direct method: the name is decoded, `rid` is verbatim for the answer.
    Method { name: Cow<'a, str>, rid: &'a str },
    /// Nothing that IoT Hub documents for this identity.
    Unknown,
}

/// The topic of an answer to a twin request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwinResponse<'a> {
    pub status: u16,
    /// That of the request, verbatim.
    pub rid: &'a str,
    /// The new version of the reported properties, where the hub tells it.
    pub version: Option<u64>,
    /// Seconds to wait before another request, where the hub tells them.
    pub retry_after: Option<u64>,
}

/// Tells what came in. Never fails: a topic that is malformed is [`Incoming::Unknown`].
pub fn parse_incoming<'a>(topic: &'a str, id: &Identity) -> Incoming<'a> {
    let parsed = if let Some(rest) = topic.strip_prefix("$iothub/") {
        parse_service(rest)
    } else {
        parse_message(topic, id)
    };
    parsed.unwrap_or(Incoming::Unknown)
}

fn parse_message<'a>(topic: &'a str, id: &Identity) -> Option<Incoming<'a>> {
    let rest = topic.strip_prefix("devices/")?.strip_prefix(id.device_id())?;
    match id.module_id() {
        None => {
            let bag = rest.strip_prefix("/messages/devicebound")?;
            let bag = if bag.is_empty() { bag } else { bag.strip_prefix('/')? };
            Some(Incoming::C2d { bag })
        }
        Some(module) => {
            let rest = rest.strip_prefix("/modules/")?.strip_prefix(module)?;
            let rest = rest.strip_prefix("/inputs/")?;
            let (name, bag) = rest.split_once('/').unwrap_or((rest, ""));
            let name = percent::decode(name).ok().filter(|name| !name.is_empty())?;
            Some(Incoming::Input { name, bag })
        }
    }
}

fn parse_service(rest: &str) -> Option<Incoming<'_>> {
    if let Some(rest) = rest.strip_prefix("twin/res/") {
        let (status, query) = split_query(rest)?;
        return Some(Incoming::TwinResponse(TwinResponse {
            status: number(status)?,
            rid: field(query, "$rid")?,
            version: field(query, "$version").and_then(number),
            retry_after: field(query, "retry-after").and_then(number),
        }));
    }
    if let Some(rest) = rest.strip_prefix("twin/PATCH/properties/desired") {
        let (path, query) = split_query(rest)?;
        let version = field(query, "$version").and_then(number)?;
        return path.is_empty().then_some(Incoming::Desired { version });
    }
    let (name, query) = split_query(rest.strip_prefix("methods/POST/")?)?;
    let name = percent::decode(name).ok().filter(|name| !name.is_empty())?;
    let rid = field(query, "$rid")?;
    Some(Incoming::Method { name, rid })
}

/// `path/?query`, also without the slash.
fn split_query(text: &str) -> Option<(&str, &str)> {
    let (path, query) = text.split_once('?')?;
    Some((path.strip_suffix('/').unwrap_or(path), query))
}

/// The value of a field of a query, verbatim; an empty one counts as absent.
pub(crate) fn field<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// Digits alone: `parse` would also take a sign.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `devices/{device}/[modules/{module}/]`.
fn root(id: &Identity) -> String {
    match id.module_id() {
        None => format!("devices/{}/", id.device_id()),
        Some(module) => format!("devices/{}/modules/{module}/", id.device_id()),
    }
}
