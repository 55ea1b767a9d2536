//! The desired properties as the application has seen them.

use std::fmt;

use bytes::Bytes;

use super::json::{self, Object};
use crate::error::Result;

/// A change of the desired properties, or at first all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Desired {
    /// A JSON merge patch, without `$version`: null means deleted.
    pub patch: Bytes,
    /// The version that the properties have with it.
    pub version: u64,
}

impl fmt::Debug for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desired({} bytes, version {})", self.patch.len(), self.version)
    }
}

/// What a notification or a document means to who has seen what came before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To be delivered.
    Deliver(Desired),
    /// Known already.
    Old,
    /// Something was missed: the whole document is needed.
    Gap,
}

/// Compares versions, so that each change is seen once whatever the connection did.
#[derive(Default)]
pub(super) struct Seen {
    /// The version that was delivered last, and the properties with it.
    known: Option<(u64, Object)>,
    /// The newest version that a notification told of.
    announced: u64,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.known.as_ref().map(|(version, _)| version);
        f.debug_struct("Seen").field("version", &version).finish()
    }
}

impl Seen {
    /// A notification came.
    ///
    /// # Errors
    /// Its body is no JSON object.
    pub(super) fn notified(&mut self, version: u64, body: &[u8]) -> Result<Step> {
        let known = self.known.as_ref().map(|(version, _)| *version);
        if known.is_some_and(|known| version <= known) {
            return Ok(Step::Old);
        }
        let mut patch = json::object(body)?;
        self.announced = self.announced.max(version);
        match &mut self.known {
            Some((known, document)) if version == *known + 1 => {
                patch.remove("$version");
                *known = version;
                json::merge(document, patch.clone());
                Ok(Step::Deliver(desired(&patch, version)))
            }
            _ => Ok(Step::Gap),
        }
    }

    /// The whole twin came, as the hub sends it to the device. Where the hub `insists` on it, what it
    /// announced before counts for nothing.
    ///
    /// # Errors
    /// It is no twin.
    pub(super) fn read(&mut self, twin: &[u8], insists: bool) -> Result<Step> {
        let mut twin = json::object(twin)?;
        let Some(serde_json::Value::Object(mut document)) = twin.remove("desired") else {
            return Err(crate::Error::argument("json", "has no object \"desired\""));
        };
        let version = document.remove("$version").and_then(|version| version.as_u64());
        let version = version.ok_or_else(|| crate::Error::argument("json", "has no \"$version\""))?;
        if !insists
            && version < self.announced
            && self.known.as_ref().is_none_or(|(known, _)| version >= *known)
        {
            // The answer was on its way when the next change was made.
            return Ok(Step::Gap);
        }
        self.announced = version;
        let patch = match &self.known {
            Some((known, _)) if *known == version => return Ok(Step::Old),
            Some((_, old)) => json::difference(old, &document),
            None => document.clone(),
        };
        // A version that went back is that of a device that was made anew.
        self.known = Some((version, document));
        Ok(Step::Deliver(desired(&patch, version)))
    }
}

fn desired(patch: &Object, version: u64) -> Desired {
    Desired { patch: serde_json::to_vec(patch).unwrap_or_default().into(), version }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn twin(version: u64, desired: Value) -> Vec<u8> {
        let mut desired = desired;
        desired["$version"] = version.into();
        json!({ "desired": desired, "reported": { "$version": 1 } }).to_string().into_bytes()
    }

    fn deliver(version: u64, patch: Value) -> Step {
        Step::Deliver(Desired { patch: patch.to_string().into(), version })
    }

    #[test]
    fn first_everything_then_each_change_once() {
        let mut seen = Seen::default();
        assert_eq!(seen.notified(3, b"{}"), Ok(Step::Gap));
        assert_eq!(seen.read(&twin(3, json!({"a": 1})), false), Ok(deliver(3, json!({"a": 1}))));
        assert_eq!(seen.notified(3, br#"{"a":1,"$version":3}"#), Ok(Step::Old));
        assert_eq!(seen.notified(4, br#"{"b":2,"$version":4}"#), Ok(deliver(4, json!({"b": 2}))));
        assert_eq!(seen.notified(4, br#"{"b":2,"$version":4}"#), Ok(Step::Old));
        assert_eq!(seen.notified(2, br#"{"b":0}"#), Ok(Step::Old));
    }

    #[test]
    fn what_was_missed_comes_as_one_patch_with_its_deletions() {
        let mut seen = Seen::default();
        seen.read(&twin(1, json!({"a": {"x": 1, "y": 2}, "b": [1]})), false).unwrap();
        assert_eq!(seen.notified(4, br#"{"c":1}"#), Ok(Step::Gap));
        let new = twin(4, json!({"a": {"x": 1}, "b": [2], "c": 1}));
        assert_eq!(seen.read(&new, false), Ok(deliver(4, json!({"a": {"y": null}, "b": [2], "c": 1}))));
        assert_eq!(seen.read(&new, false), Ok(Step::Old));
        assert_eq!(seen.notified(5, br#"{"a":null}"#), Ok(deliver(5, json!({"a": null}))));
    }

    #[test]
    fn an_answer_that_a_change_overtook_is_asked_for_again() {
        let mut seen = Seen::default();
        seen.read(&twin(1, json!({})), false).unwrap();
        assert_eq!(seen.notified(3, b"{}"), Ok(Step::Gap));
        assert_eq!(seen.notified(4, b"{}"), Ok(Step::Gap));
        assert_eq!(seen.read(&twin(3, json!({"a": 3})), false), Ok(Step::Gap));
        assert_eq!(seen.read(&twin(4, json!({"a": 4})), false), Ok(deliver(4, json!({"a": 4}))));
    }

    #[test]
    fn a_device_that_was_made_anew_starts_again() {
        let mut seen = Seen::default();
        seen.read(&twin(9, json!({"a": 1})), false).unwrap();
        assert_eq!(seen.read(&twin(1, json!({})), false), Ok(deliver(1, json!({"a": null}))));
        assert_eq!(seen.notified(2, br#"{"b":1}"#), Ok(deliver(2, json!({"b": 1}))));
    }

    #[test]
    fn a_version_that_moved_without_a_difference_is_told() {
        let mut seen = Seen::default();
        seen.read(&twin(1, json!({"a": 1})), false).unwrap();
        assert_eq!(seen.read(&twin(3, json!({"a": 1})), false), Ok(deliver(3, json!({}))));
    }

    #[test]
    fn what_is_no_twin_changes_nothing() {
        let mut seen = Seen::default();
        for bad in
            ["", "[]", "{}", r#"{"desired":1}"#, r#"{"desired":{}}"#, r#"{"desired":{"$version":"1"}}"#]
        {
            assert!(seen.read(bad.as_bytes(), false).is_err(), "{bad}");
        }
        assert!(seen.notified(1, b"no").is_err());
        assert_eq!(seen.read(&twin(1, json!({})), false), Ok(deliver(1, json!({}))));
    }
}
