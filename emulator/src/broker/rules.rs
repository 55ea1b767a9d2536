//! What IoT Hub takes in a CONNECT, a SUBSCRIBE and a PUBLISH topic. Pure.

use std::borrow::Cow;

use iothub_mqtt::hub::{percent, property_bag};

use crate::identity::Identity;
use crate::settings::{ApiVersion, EmptyValue, QosProperty, RetainProperty, Settings, WrongMessageId};

/// A user name taken apart: `{hub}/{device}[/{module}]/?api-version=...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Username {
    pub(crate) hub: String,
    pub(crate) identity: Identity,
    pub(crate) client_type: Option<String>,
    pub(crate) model_id: Option<String>,
}

const OLD_SIX_SEGMENTS: &str =
    "/api-version=2017-06-30/DeviceClientType=Microsoft.Azure.Devices.Client/1.5.1-preview-003";

/// Reads a user name; the error says what is wrong with it.
pub(crate) fn parse_username(username: &str, wanted: ApiVersion) -> Result<Username, &'static str> {
    let shape = "the user name must be {hub}/{device}[/{module}]/?api-version={date}";
    let optional = wanted == ApiVersion::Optional;
    let old = username.strip_suffix(OLD_SIX_SEGMENTS);
    let (path, query) = match old {
        Some(path) => (path, "api-version=2017-06-30"),
        None => {
            let (path, last) = username.rsplit_once('/').ok_or(shape)?;
            match last.strip_prefix('?') {
                Some(query) => (path, query),
                None if last.contains("api-version=") => (path, last),
                None if optional && last.is_empty() => (path, ""),
                None if optional => (username, ""),
                None => return Err(shape),
            }
        }
    };
    let segments: Vec<&str> = path.split('/').collect();
    let (hub, identity) = match segments[..] {
        [_, _, _] if old.is_some() => return Err(shape),
        [hub, device] => (hub, Identity::device(device)),
        [hub, device, module] => (hub, Identity::module(device, module)),
        _ => return Err(shape),
    };
    if !identity.is_valid() {
        return Err(
            "the device or module id in the user name is empty, too long or has a forbidden character",
        );
    }
    let value = |key: &str| {
        let pair = query.split('&').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key));
        pair.and_then(|(_, value)| percent::decode(value).map(Cow::into_owned).ok())
    };
    match value("api-version") {
        None if optional => {}
        None => return Err("the user name has no api-version"),
        Some(version) if !is_api_version(&version) => {
            return Err("the api-version in the user name is not a date like 2021-04-12");
        }
        Some(_) => {}
    }
    Ok(Username {
        hub: hub.to_owned(),
        identity,
        client_type: value("DeviceClientType"),
        model_id: value("model-id").filter(|id| !id.is_empty()),
    })
}

/// `YYYY-MM-DD`, with or without `-preview`.
pub(crate) fn is_api_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text).as_bytes();
    date.len() == 10
        && date.iter().enumerate().all(
            |(i, b)| {
                if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() }
            },
        )
}

/// What a filter subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(crate) enum Subject {
    C2d,
    Inputs,
    TwinResponses,
    Desired,
    Methods,
}

impl Subject {
    /// Of the messages that are queued for `identity`: a module gets none from the cloud.
    pub(crate) fn of_queue(identity: &Identity) -> Self {
        if identity.module_id().is_some() { Self::Inputs } else { Self::C2d }
    }
}

/// The subject of a documented filter, `None` for any other.
pub(crate) fn classify_filter(identity: &Identity, filter: &str) -> Option<Subject> {
    match filter {
        "$iothub/twin/res/#" => return Some(Subject::TwinResponses),
        "$iothub/twin/PATCH/properties/desired/#" => return Some(Subject::Desired),
        "$iothub/methods/POST/#" => return Some(Subject::Methods),
        // The embedded SDK for C has one filter for all devices, which means the client's own.
        "devices/+/messages/devicebound/#" if identity.module_id().is_none() => return Some(Subject::C2d),
        _ => {}
    }
    if let Some(rest) = filter.strip_prefix("$iothub/methods/POST/") {
        let name = rest.strip_suffix("/#")?;
        let plain = !name.is_empty() && !name.contains(['/', '+', '#']);
        return plain.then_some(Subject::Methods);
    }
    let rest = filter.strip_prefix("devices/")?.strip_prefix(identity.device_id())?;
    match identity.module_id() {
        None => (rest == "/messages/devicebound/#").then_some(Subject::C2d),
        Some(module) => {
            let rest = rest.strip_prefix("/modules/")?.strip_prefix(module)?;
            match rest {
                "/#" | "/inputs/#" => Some(Subject::Inputs),
                // Modules get no C2D messages; the SDK for Java subscribes to them all the same.
                "/messages/devicebound/#" => Some(Subject::C2d),
                _ => None,
            }
        }
    }
}

/// What a device may publish. Bags are as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Telemetry { bag: &'a str },
    TwinGet { rid: &'a str },
    TwinReport { rid: Option<&'a str>, version: Option<&'a str> },
    MethodAnswer { status: u16, rid: &'a str },
}

/// Why a topic is of no use to the hub, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is none of the documented ones.
    Unknown(String),
    /// It is, and lacks something.
    Malformed(String),
}

/// Reads a topic.
pub(crate) fn classify_topic<'a>(identity: &Identity, topic: &'a str) -> Result<Request<'a>, Unusable> {
    let unknown = || Unusable::Unknown(format!("'{topic}' is not a topic that {identity} may publish to"));
    let malformed = |what: &str| Unusable::Malformed(format!("'{topic}' has no {what}"));
    if let Some(bag) = events_bag(identity, topic) {
        return Ok(Request::Telemetry { bag });
    }
    let rest = topic.strip_prefix("$iothub/").ok_or_else(unknown)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_suffix('/').unwrap_or(path);
    let parameter = |name| query.split('&').find_map(|pair| pair.strip_prefix(name));
    let rid = parameter("$rid=").filter(|rid| !rid.is_empty());
    match path {
        "twin/GET" => {
            let rid = rid.ok_or_else(|| malformed("$rid"))?;
            Ok(Request::TwinGet { rid })
        }
        "twin/PATCH/properties/reported" => Ok(Request::TwinReport { rid, version: parameter("$version=") }),
        _ => {
            let status = path.strip_prefix("methods/res/").ok_or_else(unknown)?;
            let status = status.parse().map_err(|_| malformed("status from 0 to 65535"))?;
            let rid = rid.ok_or_else(|| malformed("$rid"))?;
            Ok(Request::MethodAnswer { status, rid })
        }
    }
}

fn events_bag<'a>(identity: &Identity, topic: &'a str) -> Option<&'a str> {
    let mut rest = topic.strip_prefix("devices/")?.strip_prefix(identity.device_id())?;
    if let Some(module) = identity.module_id() {
        rest = rest.strip_prefix("/modules/")?.strip_prefix(module)?;
    }
    let rest = rest.strip_prefix("/messages/events")?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

/// A message's properties: those of the system under the names that a back-end sees, and the others.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) system: Vec<(Cow<'static, str>, String)>,
    pub(crate) application: Vec<(String, Option<String>)>,
    /// Bytes that count against the hub's limit: system values, and names and values of the others.
    pub(crate) size: usize,
}

impl Properties {
    /// Adds what the flags of its PUBLISH say.
    pub(crate) fn flag(&mut self, retain: bool, dup: bool, qos: u8, settings: &Settings) {
        let retained = match settings.retain_property {
            RetainProperty::MqttRetain => "mqtt-retain",
            RetainProperty::XOptRetain => "x-opt-retain",
        };
        let mut add = |name: &str, value: &str| {
            set(&mut self.application, name.to_owned(), Some(value.to_owned()));
        };
        if retain {
            add(retained, "true");
        }
        if dup {
            add("mqtt-dup", "true");
        }
        if settings.qos_property == QosProperty::Added {
            add("mqtt-qos", if qos == 0 { "0" } else { "1" });
        }
    }
}

/// The names and values of a message's bag as they were sent.
pub(crate) fn parse_pairs(bag: &str) -> Result<Vec<(String, Option<String>)>, String> {
    // The hub's parser ends a bag at the first slash that is not encoded.
    let bag = bag.split('/').next().unwrap_or("");
    property_bag::parse(bag).map_err(|e| format!("the property bag: {e}"))
}

/// Reads the bag of a message from a device; the error says why the hub closes the connection.
pub(crate) fn parse_events_bag(bag: &str, settings: &Settings) -> Result<Properties, String> {
    let pairs = parse_pairs(bag)?;
    let bag = bag.split('/').next().unwrap_or("");
    if bag.split('&').any(|pair| pair.matches('=').count() > 1) {
        return Err("the property bag has a second '=' in one property".into());
    }
    let mut properties = Properties::default();
    for (name, value) in pairs {
        if let Some(key) = name.strip_prefix("$.") {
            // A bare `$.cid` is null: as if it were not there.
            let Some(value) = value else {
                continue;
            };
            if key == "mid" && settings.message_id == WrongMessageId::Refused && !is_message_id(&value) {
                return Err(format!("400004 ArgumentInvalid: the message id {MESSAGE_ID_RULE}"));
            }
            properties.size += value.len();
            let name = system_name(key).map_or_else(|| Cow::Owned(name.clone()), Cow::Borrowed);
            set(&mut properties.system, name, value);
        } else {
            let value = value.filter(|v| !v.is_empty() || settings.empty_value == EmptyValue::Kept);
            properties.size += name.len() + value.as_ref().map_or(0, String::len);
            set(&mut properties.application, name, value);
        }
    }
    Ok(properties)
}

pub(crate) const MESSAGE_ID_RULE: &str =
    "must have at most 128 characters, letters, digits and -:.+%_#*?!(),=@;$' of ASCII";

pub(crate) fn is_message_id(id: &str) -> bool {
    id.len() <= 128 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:.+%_#*?!(),=@;$'".contains(&b))
}

fn system_name(key: &str) -> Option<&'static str> {
    Some(match key {
        "mid" => "message-id",
        "cid" => "correlation-id",
        "uid" => "user-id",
        "ct" => "content-type",
        "ce" => "content-encoding",
        "to" => "to",
        "exp" => "absolute-expiry-time",
        "on" => "output-name",
        "sub" => "dt-subject",
        "ifid" => "iothub-interface-id",
        "ctime" => "iothub-creation-time-utc",
        "schema" => "iothub-message-schema",
        _ => return None,
    })
}

/// The later of two values under one name wins, at the earlier one's place.
pub(crate) fn set<K: PartialEq, V>(pairs: &mut Vec<(K, V)>, name: K, value: V) {
    match pairs.iter_mut().find(|(known, _)| *known == name) {
        Some(pair) => pair.1 = value,
        None => pairs.push((name, value)),
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
