//! What IoT Hub takes as JSON. Documents stay bytes; here they are only looked at.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

pub(super) type Object = Map<String, Value>;

/// # Errors
/// `Argument` with the place where it is no JSON; the text is not quoted.
pub(super) fn check(text: &[u8]) -> Result<()> {
    serde_json::from_slice::<Value>(text).map(drop).map_err(|error| broken(&error))
}

/// # Errors
/// As [`check`], also where it is another kind of JSON.
pub(super) fn object(text: &[u8]) -> Result<Object> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::argument("json", "must be an object: {...}")),
        Err(error) => Err(broken(&error)),
    }
}

fn broken(error: &serde_json::Error) -> Error {
    // The error's own text may quote what it found.
    let (line, column) = (error.line(), error.column());
    Error::argument("json", format_args!("is no JSON from line {line}, column {column} on"))
}

/// Merges `patch` into `object`: objects recurse, null deletes, everything else replaces
/// (RFC 7396, except that IoT Hub keeps objects that became empty).
pub(super) fn merge(object: &mut Object, patch: Object) {
    for (name, value) in patch {
        match (object.get_mut(&name), value) {
            (_, Value::Null) => {
                object.remove(&name);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, Value::Object(new)) => {
                let mut fresh = Object::new();
                merge(&mut fresh, new);
                object.insert(name, fresh.into());
            }
            (_, other) => {
                object.insert(name, other);
            }
        }
    }
}

/// The patch that makes `new` of `old`.
pub(super) fn difference(old: &Object, new: &Object) -> Object {
    let mut patch = Object::new();
    for (name, value) in new {
        match (old.get(name), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                patch.insert(name.clone(), difference(old, new).into());
            }
            (_, new) => {
                patch.insert(name.clone(), new.clone());
            }
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    patch
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Object {
        object(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_patch_deletes_with_null_and_replaces_arrays_whole() {
        let mut document = map(json!({"a": {"b": 1, "c": 2}, "d": [1]}));
        merge(&mut document, map(json!({"a": {"b": null}, "d": [2, 3], "e": {"f": null, "g": {}}})));
        assert_eq!(document, map(json!({"a": {"c": 2}, "d": [2, 3], "e": {"g": {}}})));
    }

    #[test]
    fn what_is_no_object_is_refused_without_being_quoted() {
        for (text, rule) in [
            ("[1]", "must be an object"),
            ("\"secret\"", "must be an object"),
            ("", "line 1, column 0"),
            ("{\"a\":\n secret}", "line 2, column 2"),
            ("{} {}", "line 1, column 4"),
        ] {
            let error = object(text.as_bytes()).unwrap_err();
            assert!(error.detail().contains(rule), "{text}: {error}");
            assert!(!error.detail().contains("secret"));
        }
    }

    fn documents() -> impl Strategy<Value = Object> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), any::<i32>().prop_map(Value::from)];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|map| map.into_iter().collect::<Object>().into()),
            ]
        });
        prop::collection::btree_map("[abc]", value, 0..4).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_difference_leads_from_the_old_to_the_new(old in documents(), new in documents()) {
            let mut document = old.clone();
            merge(&mut document, difference(&old, &new));
            prop_assert_eq!(document, new);
        }

        #[test]
        fn equal_documents_do_not_differ(document in documents()) {
            prop_assert!(difference(&document, &document).is_empty());
        }
    }
}
