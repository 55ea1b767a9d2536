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
fn the_published_texts_of_refusals() {
    for (patch, expected) in [
        (
            json!({"x": "v".repeat(4097)}),
            "Value associated with property name x has length 4097 that exceeds maximum length of 4096",
        ),
        (
            json!({"x": MIN_INTEGER - 1}),
            "Property x has an out of bound value. Valid values are between -4503599627370496 and 4503599627370495",
        ),
        (json!({"a.b": 1}), "Property name a.b contains invalid character '.'"),
        (json!({"k".repeat(1025): 1}), "Length of property name kkkkkkkkkk.. exceeds maximum length of 1024"),
        (json!({"x": [null]}), "Arrays cannot contain 'null' as value"),
        (json!({"x": [{"y": null}]}), "Property y of an object in an array cannot be 'null'"),
        (json!({"x": [[[[[[[[[[[]]]]]]]]]]]}), "Nested depth of twin property exceeds 10"),
    ] {
        assert_eq!(validate(&object(patch)), Err(expected.to_owned()));
    }
}

#[test]
fn each_limit_of_a_value_holds_to_the_unit() {
    let nested = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({ "l": inner }));
    let arrays = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    for (patch, good) in [
        (nested(10), true),
        (nested(11), false),
        (json!({"a": arrays(10)}), true),
        (json!({"a": arrays(11)}), false),
        (json!({"a": [nested(8)]}), true),
        (json!({"a": [nested(9)]}), false),
        // Bytes and not characters.
        (json!({"a": "é".repeat(2048)}), true),
        (json!({"a": "é".repeat(2049)}), false),
        (json!({"é".repeat(512): 1}), true),
        (json!({"é".repeat(513): 1}), false),
        (json!({"a": MAX_INTEGER}), true),
        (json!({"a": MAX_INTEGER + 1}), false),
        (json!({"a": MIN_INTEGER}), true),
        (json!({"a": MIN_INTEGER - 1}), false),
        (json!({"a": 1e300, "b": -0.5}), true),
        (json!({"a": null, "b": true, "c": "", "d": [], "e": {}}), true),
        (json!({"": 1}), true),
        (json!({"a\u{0}": 1}), false),
        (json!({"a\u{7f}": 1}), false),
        (json!({"a\u{9f}": 1}), false),
        (json!({"a\u{a0}": 1}), false),
        (json!({"a\u{2003}": 1}), false),
        (json!({"a-_/:;@": 1}), true),
    ] {
        assert_eq!(validate(&object(patch.clone())).is_ok(), good, "{patch}");
    }
}

#[test]
fn a_section_holds_32_kib_as_they_are_counted_or_as_json() {
    // Eight properties of 4096 bytes each, counted; as JSON there are 49 bytes of quotes and the like.
    let full = |last: usize| {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let lengths = [4095, 4095, 4095, 4095, 4095, 4095, 4095, last];
        let pairs =
            names.iter().zip(lengths).map(|(name, length)| ((*name).to_owned(), "v".repeat(length).into()));
        Object::from_iter(pairs)
    };
    for (last, way, good) in [
        (4095, TwinSize::Counted, true),
        (4096, TwinSize::Counted, false),
        (4095 - 49, TwinSize::Json, true),
        (4095 - 48, TwinSize::Json, false),
    ] {
        let mut twin = Twin::new("now");
        assert_eq!(twin.report(&full(last), "now", way).is_ok(), good, "{last} {way:?}");
        let mut twin = Twin::new("now");
        assert_eq!(twin.desire(&full(last), false, "now", way).is_ok(), good, "{last} {way:?}");
    }
    let tags = |length: usize| {
        let half = "v".repeat(4096);
        object(json!({ "a": half, "b": "v".repeat(length) }))
    };
    let mut twin = Twin::new("now");
    assert!(twin.tag(&tags(4094), false, COUNTED).is_ok());
    assert!(matches!(twin.tag(&tags(4095), false, COUNTED), Err(Refused::TooLarge(_))));
    // Deleting makes room.
    let mut twin = Twin::new("now");
    twin.report(&full(4095), "now", COUNTED).unwrap();
    twin.report(&object(json!({"a": null, "z": "v"})), "now", COUNTED).unwrap();
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
