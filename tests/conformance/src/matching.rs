//! How what was expected is compared with what came.

use serde_json::{Map, Value};

/// A value of a scenario that is JSON: as it is, or written as text, which can say null.
pub(crate) fn json(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => {
            serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON: {error}"))
        }
        other => Ok(other.clone()),
    }
}

/// JSON that an agent or the hub has passed on as text.
pub(crate) fn text(value: &Value) -> Value {
    value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

/// Whether `actual` has all that `expected` has: objects may have more members.
pub(crate) fn contains(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| actual.get(name).is_some_and(|actual| contains(actual, expected))),
        (actual, expected) => actual == expected,
    }
}

/// Puts `n` in place of each `{n}`.
pub(crate) fn numbered(map: &Map<String, Value>, n: u64) -> Map<String, Value> {
    fn replace(value: &Value, n: &str) -> Value {
        match value {
            Value::String(text) => text.replace("{n}", n).into(),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(name, value)| (name.clone(), replace(value, n))).collect())
            }
            other => other.clone(),
        }
    }
    let n = n.to_string();
    map.iter().map(|(name, value)| (name.clone(), replace(value, &n))).collect()
}

/// The body that a step says: text, bytes in hexadecimal digits, or a size.
pub(crate) fn body(arguments: &Map<String, Value>) -> Result<Option<Vec<u8>>, String> {
    if let Some(text) = arguments.get("body") {
        return Ok(Some(text.as_str().ok_or("body must be text")?.as_bytes().to_vec()));
    }
    if let Some(digits) = arguments.get("body_hex") {
        return from_hex(digits.as_str().ok_or("body_hex must be text")?).map(Some);
    }
    let size = arguments.get("size").map(|size| size.as_u64().ok_or("size must be a number")).transpose()?;
    Ok(size.map(|size| vec![b'x'; size as usize]))
}

/// The body that an agent tells of.
pub(crate) fn told_body(event: &Value) -> Result<Vec<u8>, String> {
    event.as_object().and_then(|event| body(event).transpose()).unwrap_or(Err("no body".to_owned()))
}

/// What of a body is shown.
pub(crate) fn show(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(100)]);
    if body.len() > 100 { format!("{text:?}… ({} bytes)", body.len()) } else { format!("{text:?}") }
}

pub(crate) fn from_hex(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2);
    let byte =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    pairs.map(|pair| byte(pair).ok_or_else(|| format!("{digits:?} are no hexadecimal digits"))).collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An object of about `size` bytes in values that are allowed in a twin.
pub(crate) fn large_object(size: u64) -> Value {
    let values = (0..size.div_ceil(4000)).map(|n| (format!("k{n}"), Value::from("x".repeat(4000))));
    Value::Object(values.collect())
}

/// JSON merge patch (RFC 7396).
pub(crate) fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let Value::Object(members) = document else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
