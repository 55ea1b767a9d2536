//! Reading the test vectors. Each test says through [`AREAS_USED`] how many it has used.
#![allow(dead_code, reason = "each test program uses a part")]

use serde_json::Value;

const FILE: &str = include_str!("../../../tests/vectors/vectors.json");

/// The areas that the hub tests use, with the number of vectors in each.
pub(crate) const AREAS_USED: [(&str, usize); 30] = [
    ("c2d.filter", 1),
    ("c2d.parse", 5),
    ("connect.client_id", 1),
    ("connect.username", 4),
    ("connection_string", 5),
    ("d2c.parse", 2),
    ("d2c.property_bag", 4),
    ("d2c.topic", 2),
    ("dps.group_key", 1),
    ("dps.sas.string_to_sign", 1),
    ("dps.sas.token_full", 1),
    ("hub.classify_filter", 5),
    ("hub.parse_request", 3),
    ("input.build", 1),
    ("input.filter", 1),
    ("input.name", 1),
    ("input.parse", 1),
    ("method.parse", 3),
    ("method.response_topic", 2),
    ("sas.audience", 1),
    ("sas.key", 2),
    ("sas.parse", 4),
    ("sas.string_to_sign", 1),
    ("sas.token", 2),
    ("sas.token_full", 2),
    ("sas.verify_expiry", 1),
    ("twin.parse", 4),
    ("twin.topic", 1),
    ("url_decode", 1),
    ("url_encode", 2),
];

pub(crate) fn all() -> Vec<Value> {
    serde_json::from_str(FILE).unwrap()
}

/// The inputs and expected results of an area, all of them.
pub(crate) fn area(name: &str) -> Vec<(Value, Value)> {
    let found: Vec<_> = all()
        .into_iter()
        .filter(|vector| vector["area"] == name)
        .map(|mut vector| (vector["input"].take(), vector["expected"].take()))
        .collect();
    let used = AREAS_USED.iter().find(|(known, _)| *known == name);
    assert_eq!(used.map(|(_, count)| *count), Some(found.len()), "{name}");
    found
}

pub(crate) fn optional<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    optional(value, name).unwrap()
}

/// The SDK that a vector is of, or nothing where all agree.
pub(crate) fn style(value: &Value) -> &str {
    optional(value, "style").unwrap_or("")
}
