#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const COUNTED: TwinSize = TwinSize::Counted;

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

fn vectors(area: &str) -> Vec<(Value, Value)> {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/vectors.json")).unwrap();
    let found: Vec<_> = all
        .iter()
        .filter(|vector| vector["area"] == area)
        .map(|vector| (vector["input"].clone(), vector["expected"].clone()))
        .collect();
    assert!(!found.is_empty(), "no vectors for {area}");
    found
}

#[test]
fn merging_agrees_with_the_vectors() {
    for (input, expected) in vectors("twin.merge") {
        let result = merged(object(input["baseline"].clone()), &object(input["patch"].clone()));
        assert_eq!(Value::from(result), expected);
    }
}

#[test]
fn merging_beyond_the_vectors() {
    for (base, patch, expected) in [
        (
            json!({"a": {"b": 1, "c": 2}, "d": [1]}),
            json!({"a": {"b": null}, "d": [2, 3]}),
            json!({"a": {"c": 2}, "d": [2, 3]}),
        ),
        (json!({"a": 1}), json!({"a": {"b": 2}}), json!({"a": {"b": 2}})),
        (json!({"a": {"b": 2}}), json!({"a": 1}), json!({"a": 1})),
        (json!({}), json!({"a": {"b": null, "c": {}}}), json!({"a": {"c": {}}})),
        (json!({"a": 1}), json!({"b": null}), json!({"a": 1})),
        (json!({"a": 1}), json!({}), json!({"a": 1})),
    ] {
        assert_eq!(Value::from(merged(object(base), &object(patch))), expected);
    }
}

#[test]
fn validation_agrees_with_the_vectors() {
    for (input, expected) in vectors("twin.validate") {
        let result = validate(&object(input));
        assert_eq!(result.err().as_deref(), expected["error"].as_str());
    }
}

#[test]
fn validation_beyond_the_vectors() {
    let deep = (0..11).fold(json!({}), |inner, _| json!({ "level": inner }));
    let arrays = json!({"a": [[[[[[[[[[[1]]]]]]]]]]]});
    for (patch, expected) in [
        (json!({"a": [1, {"b": 2}]}), None),
        (json!({"a": MAX_INTEGER, "b": MIN_INTEGER, "c": 1.5e300}), None),
        (json!({"a": MAX_INTEGER + 1}), Some("out of bound")),
        (json!({"a": u64::MAX}), Some("out of bound")),
        (json!({"a": [[MIN_INTEGER - 1]]}), Some("out of bound")),
        (deep, Some("Nested depth")),
        (arrays, Some("Nested depth")),
        (json!({"a.b": 1}), Some("invalid character '.'")),
        (json!({"$a": 1}), Some("invalid character '$'")),
        (json!({"a b": 1}), Some("invalid character ' '")),
        (json!({"a#": 1}), Some("invalid character '#'")),
        (json!({"a\u{85}": 1}), Some("invalid character")),
        (json!({"a": {"b\n": 1}}), Some("invalid character")),
        (json!({"k".repeat(1025): 1}), Some("exceeds maximum length of 1024")),
        (json!({"k".repeat(1024): 1}), None),
        (json!({"a": [{"b": null}]}), Some("in an array cannot be 'null'")),
        (json!({"a": [{"b": {"c": null}}]}), Some("in an array cannot be 'null'")),
        (json!({"a": "v".repeat(4096)}), None),
    ] {
        match (validate(&object(patch)), expected) {
            (Ok(()), None) => {}
            (Err(reason), Some(part)) => assert!(reason.contains(part), "{reason}"),
            (result, expected) => assert_eq!(result.err().as_deref(), expected),
        }
    }
}

#[test]
fn a_section_that_grows_too_large_keeps_its_state() {
    let mut twin = Twin::new("now");
    let chunk = |name: &str| object(json!({ name: "v".repeat(4000) }));
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        twin.report(&chunk(name), "now", COUNTED).unwrap();
    }
    let before = twin.for_device();
    let size = 9 * 4001;
    let text = format!("Twin properties size {size} exceeds maximum 32768");
    assert_eq!(twin.report(&chunk("i"), "now", COUNTED), Err(Refused::TooLarge(text)));
    assert_eq!(twin.for_device(), before);
}

#[test]
fn versions_count_each_section_alone() {
    let mut twin = Twin::new("now");
    assert_eq!(twin.for_device(), json!({"desired": {"$version": 1}, "reported": {"$version": 1}}));
    assert_eq!(twin.report(&object(json!({"r": 1})), "now", COUNTED), Ok(2));
    assert_eq!(twin.report(&object(json!({})), "now", COUNTED), Ok(3));
    let patch = object(json!({"d": 1, "gone": null, "$version": 99, "$metadata": {}}));
    assert_eq!(
        twin.desire(&patch, false, "now", COUNTED).map(|d| d.notification()),
        Ok(json!({"d": 1, "gone": null, "$version": 2}))
    );
    assert_eq!(
        twin.for_device(),
        json!({"desired": {"d": 1, "$version": 2}, "reported": {"r": 1, "$version": 3}})
    );
}

#[test]
fn a_replacement_keeps_counting() {
    let mut twin = Twin::new("now");
    twin.desire(&object(json!({"a": 1})), false, "now", COUNTED).unwrap();
    let told = twin.desire(&object(json!({"b": 2})), true, "later", COUNTED).unwrap();
    assert_eq!(told.notification(), json!({"b": 2, "$version": 3}));
    assert_eq!(twin.for_device()["desired"], json!({"b": 2, "$version": 3}));
}

#[test]
fn metadata_follows_the_leaves() {
    let mut twin = Twin::new("t0");
    twin.report(&object(json!({"a": {"b": 1, "c": 2}})), "t1", COUNTED).unwrap();
    twin.report(&object(json!({"a": {"b": 3, "c": null}})), "t2", COUNTED).unwrap();
    assert_eq!(
        twin.for_service()["reported"]["$metadata"],
        json!({"$lastUpdated": "t2", "a": {"$lastUpdated": "t2", "b": {"$lastUpdated": "t2"}}})
    );
}

#[test]
fn sizes_are_counted_as_the_hub_counts() {
    assert_eq!(
        size(&object(json!({"ab": "c\u{1}é", "n": 1, "t": true, "o": {"x": [1, 2]}}))),
        2 + 3 + 9 + 5 + 18
    );
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        proptest::collection::btree_map("[a-c]", inner, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    })
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.values().any(has_null),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_merge_leaves_no_null_and_is_idempotent(
        first in proptest::collection::btree_map("[a-c]", values(), 0..4),
        second in proptest::collection::btree_map("[a-c]", values(), 0..4),
    ) {
        let (first, second): (Object, Object) = (first.into_iter().collect(), second.into_iter().collect());
        let once = merged(merged(Object::new(), &first), &second);
        prop_assert!(!once.values().any(has_null));
        prop_assert_eq!(merged(once.clone(), &second), once);
    }
}
