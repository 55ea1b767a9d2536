//! A message as the conditions of routes see it.

use std::cell::OnceCell;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::events::{Pairs, SystemPairs};
use crate::query::{Name, Step, Value, find};

/// A message on its way to the endpoints.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) body: Bytes,
    pub(crate) system: SystemPairs,
    pub(crate) properties: Pairs,
}

/// Names of the query language, and of the system's properties in a message.
const SYSTEM_NAMES: [(&str, &str); 14] = [
    ("messageId", "message-id"),
    ("correlationId", "correlation-id"),
    ("userId", "user-id"),
    ("to", "to"),
    ("contentType", "content-type"),
    ("contentEncoding", "content-encoding"),
    ("expiryTimeUtc", "absolute-expiry-time"),
    ("outputName", "output-name"),
    ("componentName", "dt-subject"),
    ("connectionDeviceId", "iothub-connection-device-id"),
    ("connectionModuleId", "iothub-connection-module-id"),
    ("connectionAuthMethod", "iothub-connection-auth-method"),
    ("connectionDeviceGenerationId", "iothub-connection-auth-generation-id"),
    ("enqueuedTime", "iothub-enqueuedtime"),
];

/// A message under the eyes of conditions: what costs something is done once, and only when asked for.
pub(super) struct Examined<'a> {
    message: &'a Message,
    body: OnceCell<Option<Json>>,
    twin: OnceCell<Option<Json>>,
    read_twin: &'a dyn Fn() -> Option<Json>,
}

impl<'a> Examined<'a> {
    pub(super) fn new(message: &'a Message, read_twin: &'a dyn Fn() -> Option<Json>) -> Self {
        Self { message, body: OnceCell::new(), twin: OnceCell::new(), read_twin }
    }

    /// The value of a name in a condition; with `system_only` of no application property.
    pub(super) fn find(&self, name: &Name, system_only: bool) -> Value<'_> {
        let Some((Step::Field(first), rest)) = name.steps.split_first() else {
            return Value::Undefined;
        };
        let Some(system) = first.strip_prefix('$') else {
            return self.application(&name.steps);
        };
        if system.eq_ignore_ascii_case("body") {
            // The body as a whole, or an element of it, cannot be asked for.
            return match (rest.first(), self.body()) {
                (Some(Step::Field(_)), Some(body)) => find(body, rest),
                _ => Value::Undefined,
            };
        }
        if system.eq_ignore_ascii_case("twin") {
            return match self.twin.get_or_init(self.read_twin) {
                Some(twin) if is_of_twin(rest) => find(twin, rest),
                _ => Value::Undefined,
            };
        }
        match self.system(system, rest) {
            Value::Undefined if !system_only => self.application(&name.steps),
            value => value,
        }
    }

    fn system(&self, name: &str, rest: &[Step]) -> Value<'_> {
        if !rest.is_empty() {
            return Value::Undefined;
        }
        let known = SYSTEM_NAMES.iter().find(|(query, _)| query.eq_ignore_ascii_case(name));
        let name = known.map_or(name, |(_, property)| property);
        let pair = self.message.system.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        pair.map_or(Value::Undefined, |(_, value)| Value::Text(value.as_str().into()))
    }

    /// A property's name may have dots in it; case does not count.
    fn application(&self, steps: &[Step]) -> Value<'_> {
        let mut name = String::new();
        for step in steps {
            let Step::Field(field) = step else {
                return Value::Undefined;
            };
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(field);
        }
        let properties = &self.message.properties;
        let exact = properties.iter().find(|(known, _)| *known == name);
        match exact.or_else(|| properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name))) {
            Some((_, Some(value))) => Value::Text(value.as_str().into()),
            Some((_, None)) => Value::Null,
            None => Value::Undefined,
        }
    }

    /// `None` where the message does not say that it is JSON in a known encoding, or is not.
    fn body(&self) -> Option<&Json> {
        let parse = || {
            let system = |name: &str| {
                let pair = self.message.system.iter().find(|(known, _)| known == name);
                pair.map(|(_, value)| value.as_str())
            };
            let media = system("content-type")?.split(';').next()?.trim();
            if !media.eq_ignore_ascii_case("application/json") {
                return None;
            }
            serde_json::from_str(&decode(&self.message.body, system("content-encoding")?)?).ok()
        };
        self.body.get_or_init(parse).as_ref()
    }
}

/// Routes see the tags and properties of a twin, not the rest of the document.
fn is_of_twin(steps: &[Step]) -> bool {
    let named = |name: &str| matches!(steps.first(), Some(Step::Field(f)) if f.eq_ignore_ascii_case(name));
    steps.len() > 1 && (named("tags") || named("properties"))
}

/// Text in one of the encodings that IoT Hub takes, little-endian where there is no byte order mark.
fn decode(body: &[u8], encoding: &str) -> Option<String> {
    if encoding.eq_ignore_ascii_case("utf-8") {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        return String::from_utf8(body.to_vec()).ok();
    }
    if encoding.eq_ignore_ascii_case("utf-16") {
        let (body, big) = match body {
            [0xfe, 0xff, rest @ ..] => (rest, true),
            [0xff, 0xfe, rest @ ..] => (rest, false),
            _ => (body, false),
        };
        let (pairs, rest) = body.as_chunks::<2>();
        let unit = |pair: &[u8; 2]| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
        let units: Vec<u16> = pairs.iter().map(unit).collect();
        return rest.is_empty().then(|| String::from_utf16(&units).ok()).flatten();
    }
    if encoding.eq_ignore_ascii_case("utf-32") {
        let (body, big) = match body {
            [0, 0, 0xfe, 0xff, rest @ ..] => (rest, true),
            [0xff, 0xfe, 0, 0, rest @ ..] => (rest, false),
            _ => (body, false),
        };
        let (words, rest) = body.as_chunks::<4>();
        let scalar = |word: &[u8; 4]| {
            char::from_u32(if big { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) })
        };
        return rest.is_empty().then(|| words.iter().map(scalar).collect()).flatten();
    }
    None
}
