//! Device twins: validation, merging and versions. Pure: the time is given as text.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::HubError;
use crate::settings::TwinSize;

const MAX_DEPTH: usize = 10;
const MAX_NAME: usize = 1024;
const MAX_STRING: usize = 4096;
const MAX_SECTION: usize = 32 * 1024;
const MAX_TAGS: usize = 8 * 1024;
const MIN_INTEGER: i64 = -4_503_599_627_370_496;
const MAX_INTEGER: i64 = 4_503_599_627_370_495;

type Object = Map<String, Value>;

/// Why a change of a twin is refused, in the hub's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A name or a value breaks a rule.
    Rule(String),
    /// A section, or the tags, would grow too large.
    TooLarge(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Rule(text) | Self::TooLarge(text)) = self;
        f.write_str(text)
    }
}

impl From<Refused> for HubError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Rule(text) => Self::argument(text),
            Refused::TooLarge(text) => Self::new(413_001, "MessageTooLarge", text),
        }
    }
}

/// One half of the properties, with its own version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Section {
    values: Object,
    metadata: Object,
    version: u64,
}

impl Section {
    fn new(now: &str) -> Self {
        let metadata = Object::from_iter([("$lastUpdated".to_owned(), now.into())]);
        Self { values: Object::new(), metadata, version: 1 }
    }

    /// As a device sees it: the values and `$version`.
    fn for_device(&self) -> Value {
        let mut object = self.values.clone();
        object.insert("$version".into(), self.version.into());
        object.into()
    }

    /// As a back-end sees it: with `$metadata` too.
    fn for_service(&self) -> Value {
        let mut object = self.values.clone();
        object.insert("$metadata".into(), self.metadata.clone().into());
        object.insert("$version".into(), self.version.into());
        object.into()
    }

    /// Merges a valid patch; the new version.
    fn apply(&mut self, patch: &Object, now: &str, way: TwinSize) -> Result<u64, Refused> {
        validate(patch).map_err(Refused::Rule)?;
        let merged = merged(self.values.clone(), patch);
        let size = size_in(&merged, way);
        if size > MAX_SECTION {
            return Err(Refused::TooLarge(format!(
                "Twin properties size {size} exceeds maximum {MAX_SECTION}"
            )));
        }
        stamp(&mut self.metadata, patch, now);
        self.values = merged;
        self.version += 1;
        Ok(self.version)
    }

    /// Replaces everything (the service's PUT); the new version.
    fn replace(&mut self, values: &Object, now: &str, way: TwinSize) -> Result<u64, Refused> {
        let mut fresh = Self { version: self.version, ..Self::new(now) };
        let version = fresh.apply(values, now, way)?;
        *self = fresh;
        Ok(version)
    }
}

/// An accepted change of the desired properties.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Desired {
    pub(crate) patch: Object,
    pub(crate) version: u64,
}

impl Desired {
    /// What the device is told.
    pub(crate) fn notification(&self) -> Value {
        let mut object = self.patch.clone();
        object.insert("$version".into(), self.version.into());
        object.into()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Twin {
    desired: Section,
    reported: Section,
    tags: Object,
    /// Counts every change.
    version: u64,
    /// Counts the changes of back-ends, which the etag is about.
    changes: u64,
}

impl Twin {
    pub(crate) fn new(now: &str) -> Self {
        Self {
            desired: Section::new(now),
            reported: Section::new(now),
            tags: Object::new(),
            version: 2,
            changes: 1,
        }
    }

    /// As a provisioning service makes it: the versions count from what is there at first.
    pub(crate) fn initial(tags: &Object, desired: &Object, now: &str) -> Result<Self, String> {
        let mut twin = Self::new(now);
        let text = |refused: Refused| refused.to_string();
        twin.desire(desired, false, now, TwinSize::Counted).map_err(text)?;
        twin.tag(tags, false, TwinSize::Counted).map_err(text)?;
        twin.desired.version = 1;
        twin.version = 1;
        Ok(twin)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn tags(&self) -> &Object {
        &self.tags
    }

    /// The answer to a device's GET.
    pub(crate) fn for_device(&self) -> Value {
        json!({ "desired": self.desired.for_device(), "reported": self.reported.for_device() })
    }

    /// The `properties` of the service's twin document.
    pub(crate) fn for_service(&self) -> Value {
        json!({ "desired": self.desired.for_service(), "reported": self.reported.for_service() })
    }

    pub(crate) fn reported_version(&self) -> u64 {
        self.reported.version
    }

    /// A device's PATCH; the new version of the reported properties.
    pub(crate) fn report(&mut self, patch: &Object, now: &str, way: TwinSize) -> Result<u64, Refused> {
        let version = self.reported.apply(patch, now, way)?;
        self.version += 1;
        Ok(version)
    }

    /// A back-end's change of the desired properties.
    ///
    /// `$version` and `$metadata` in it are ignored, as they come back from a GET.
    pub(crate) fn desire(
        &mut self,
        patch: &Object,
        replace: bool,
        now: &str,
        way: TwinSize,
    ) -> Result<Desired, Refused> {
        let mut patch = patch.clone();
        patch.retain(|name, _| name != "$version" && name != "$metadata");
        let version = match replace {
            true => self.desired.replace(&patch, now, way)?,
            false => self.desired.apply(&patch, now, way)?,
        };
        self.version += 1;
        self.changes += 1;
        Ok(Desired { patch, version })
    }

    pub(crate) fn tag(&mut self, patch: &Object, replace: bool, way: TwinSize) -> Result<(), Refused> {
        validate(patch).map_err(Refused::Rule)?;
        let old = if replace { Object::new() } else { self.tags.clone() };
        let tags = merged(old, patch);
        let size = size_in(&tags, way);
        if size > MAX_TAGS {
            return Err(Refused::TooLarge(format!("Twin tags size {size} exceeds maximum {MAX_TAGS}")));
        }
        self.tags = tags;
        self.version += 1;
        self.changes += 1;
        Ok(())
    }
}

/// `patch` merged onto an object: objects recurse, null deletes, everything else replaces.
fn merged(mut result: Object, patch: &Object) -> Object {
    for (name, value) in patch {
        match (result.get_mut(name), value) {
            (_, Value::Null) => {
                result.remove(name);
            }
            (Some(Value::Object(old)), Value::Object(new)) => *old = merged(std::mem::take(old), new),
            (_, Value::Object(new)) => {
                result.insert(name.clone(), merged(Object::new(), new).into());
            }
            (_, other) => {
                result.insert(name.clone(), other.clone());
            }
        }
    }
    result
}

fn stamp(metadata: &mut Object, patch: &Object, now: &str) {
    metadata.insert("$lastUpdated".into(), now.into());
    for (name, value) in patch {
        if value.is_null() {
            metadata.remove(name);
            continue;
        }
        let entry = metadata.entry(name.clone()).or_insert_with(|| Object::new().into());
        if let Value::Object(entry) = entry {
            match value {
                Value::Object(inner) => stamp(entry, inner, now),
                _ => *entry = Object::from_iter([("$lastUpdated".to_owned(), now.into())]),
            }
        }
    }
}

fn size_in(object: &Object, way: TwinSize) -> usize {
    match way {
        TwinSize::Counted => size(object),
        TwinSize::Json => serde_json::to_string(object).map_or(usize::MAX, |text| text.len()),
    }
}

/// Bytes as the hub counts them: names and values, 8 for a number, 4 for a boolean.
fn size(object: &Object) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Null => 0,
            Value::Bool(_) => 4,
            Value::Number(_) => 8,
            Value::String(text) => text.chars().filter(|c| !c.is_control()).map(char::len_utf8).sum(),
            Value::Array(items) => items.iter().map(of).sum(),
            Value::Object(object) => size(object),
        }
    }
    object.iter().map(|(name, value)| name.len() + of(value)).sum()
}

/// Whether the hub takes `patch`; the error is the hub's own text.
pub(crate) fn validate(patch: &Object) -> Result<(), String> {
    validate_object(patch, 0, false)
}

fn validate_object(object: &Object, depth: usize, in_array: bool) -> Result<(), String> {
    for (name, value) in object {
        validate_name(name)?;
        if in_array && value.is_null() {
            return Err(format!("Property {name} of an object in an array cannot be 'null'"));
        }
        validate_value(name, value, depth, in_array)?;
    }
    Ok(())
}

fn validate_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME {
        let start: String = name.chars().take(10).collect();
        return Err(format!("Length of property name {start}.. exceeds maximum length of {MAX_NAME}"));
    }
    match name.chars().find(|c| c.is_control() || c.is_whitespace() || matches!(c, '.' | '$' | '#')) {
        Some(bad) => Err(format!("Property name {name} contains invalid character '{bad}'")),
        None => Ok(()),
    }
}

fn validate_value(name: &str, value: &Value, depth: usize, in_array: bool) -> Result<(), String> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(number) => {
            let bad = match number.as_i64() {
                Some(integer) => !(MIN_INTEGER..=MAX_INTEGER).contains(&integer),
                None => number.is_u64(),
            };
            if !bad {
                return Ok(());
            }
            Err(format!(
                "Property {name} has an out of bound value. Valid values are between {MIN_INTEGER} and {MAX_INTEGER}"
            ))
        }
        Value::String(text) if text.len() > MAX_STRING => Err(format!(
            "Value associated with property name {name} has length {} that exceeds maximum length of {MAX_STRING}",
            text.len()
        )),
        Value::String(_) => Ok(()),
        Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => {
            Err(format!("Nested depth of twin property exceeds {MAX_DEPTH}"))
        }
        Value::Array(items) => items.iter().try_for_each(|item| match item {
            Value::Null => Err("Arrays cannot contain 'null' as value".into()),
            item => validate_value(name, item, depth + 1, true),
        }),
        Value::Object(object) => validate_object(object, depth + 1, in_array),
    }
}

#[cfg(test)]
#[path = "twins_tests.rs"]
mod tests;
