#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn twin() -> Json {
    json!({
        "deviceId": "d1",
        "connectionState": "Connected",
        "version": 7,
        "tags": { "location": { "region": "US", "floor": 1 }, "a b": "spaced", "nothing": null },
        "properties": {
            "desired": { "interval": 300, "$version": 4 },
            "reported": {
                "interval": 60, "on": true, "kind": "wifi", "list": [10, { "x": "y" }], "text": "5",
                "temperature": -3.5,
            },
        },
    })
}

fn holds(condition: &str) -> Option<bool> {
    let document = twin();
    let parsed = Condition::on_documents(condition).unwrap_or_else(|e| panic!("{condition}: {e}"));
    parsed.holds(&|name, _| find(&document, &name.steps))
}

#[test]
fn conditions_are_true_false_or_neither() {
    const UNDEFINED: Option<bool> = None;
    for (condition, expected) in [
        ("true", Some(true)),
        ("false", Some(false)),
        ("null", Some(false)),
        ("undefined", UNDEFINED),
        ("3", UNDEFINED),
        ("'true'", UNDEFINED),
        // Comparisons.
        ("tags.location.region = 'US'", Some(true)),
        ("tags.location.region = \"US\"", Some(true)),
        ("tags.location.region = 'us'", Some(false)),
        ("TAGS.Location.REGION = 'US'", Some(true)),
        ("tags.location.region != 'US'", Some(false)),
        ("tags.location.region <> 'DE'", Some(true)),
        ("tags.location.region!='DE'", Some(true)),
        ("properties.reported.interval >= 60", Some(true)),
        ("properties.reported.interval > 60", Some(false)),
        ("properties.desired.interval > properties.reported.interval", Some(true)),
        ("properties.reported.temperature < -3", Some(true)),
        ("deviceId < 'd2'", Some(true)),
        ("properties.reported.on", Some(true)),
        ("properties.reported.on = true", Some(true)),
        ("properties.desired.$version = 4", Some(true)),
        // No conversion between kinds.
        ("properties.reported.text = 5", Some(false)),
        ("properties.reported.text != 5", Some(true)),
        ("properties.reported.text > 4", UNDEFINED),
        // What is not there, and what is null.
        ("tags.none = 'x'", UNDEFINED),
        ("tags.none != 'x'", UNDEFINED),
        ("NOT (tags.none = 'x')", UNDEFINED),
        ("tags.nothing = null", Some(true)),
        ("tags.location.region <> null", Some(true)),
        ("tags.location = null", UNDEFINED),
        // Objects are not compared.
        ("tags.location = tags.location", UNDEFINED),
        // Elements and names in brackets.
        ("properties.reported.list[0] = 10", Some(true)),
        ("properties.reported.list[1].x = 'y'", Some(true)),
        ("properties.reported.list[2] = 10", UNDEFINED),
        ("tags.[[a b]] = 'spaced'", Some(true)),
        ("tags[[a b]] = 'spaced'", Some(true)),
        ("tags['a b'] = 'spaced'", Some(true)),
        ("[[tags]].location[\"region\"] = 'US'", Some(true)),
        // Membership.
        ("properties.reported.kind IN ['wired', 'wifi']", Some(true)),
        ("properties.reported.kind in['wired', 'wifi']", Some(true)),
        ("properties.reported.kind IN ['wired']", Some(false)),
        ("properties.reported.kind NIN ['wired']", Some(true)),
        ("properties.reported.interval IN [-60, 60]", Some(true)),
        ("tags.none IN ['wired']", UNDEFINED),
        ("tags.none NIN ['wired']", UNDEFINED),
        // Three values.
        ("undefined or true", Some(true)),
        ("undefined or false", UNDEFINED),
        ("undefined and false", Some(false)),
        ("undefined and true", UNDEFINED),
        ("null or true", Some(true)),
        ("not null", Some(true)),
        ("NOT undefined", UNDEFINED),
        // Precedence.
        ("true or false and false", Some(true)),
        ("(true or false) and false", Some(false)),
        ("NOT tags.location.region = 'DE'", Some(true)),
        ("not true or true", Some(true)),
        ("1 + 2 * 3 = 7", Some(true)),
        ("(1 + 2) * 3 = 9", Some(true)),
        ("10 - 3 - 2 = 5", Some(true)),
        ("7 % 4 = 3", Some(true)),
        ("3/4 = 0.75", Some(true)),
        ("2*-3 = -6", Some(true)),
        ("-(3 + 4) = -7", Some(true)),
        ("1 < 2 = true", Some(true)),
        ("'a' || 'b' = 'ab'", Some(true)),
        ("(tags.none ?? 'x') = 'x'", Some(true)),
        ("(3 % 0 ?? 12.34) = 12.34", Some(true)),
        ("is_defined(3 % 0)", Some(false)),
        ("3 + properties.reported.kind = 3", UNDEFINED),
        // Literals.
        ("0x1F = 31", Some(true)),
        ("1e3 = 1000", Some(true)),
        (".5 = 0.5", Some(true)),
        ("'\\u0041\\'\\\\' = \"A'\\\\\"", Some(true)),
        ("'\\ud83d\\ude00' = '😀'", Some(true)),
        ("tags.location.region /* where */ = 'US'", Some(true)),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}

#[test]
fn functions_do_what_is_documented() {
    for condition in [
        "abs(-50.4) = 50.4",
        "EXP(0) = 1",
        "power(2, 3) = 8",
        "square(5) = 25",
        "ceiling(1.2) = 2",
        "floor(-1.2) = -2",
        "sign(-4) = -1 and sign(0) = 0 and sign(9) = 1",
        "sqrt(9) = 3",
        "as_number('3') = 3",
        "as_number(' 10e10 ') = 10e10",
        "as_number(4) = 4",
        "not is_defined(as_number('apple'))",
        "not is_defined(as_number('inf'))",
        "not is_defined(as_number(true))",
        "is_array(properties.reported.list)",
        "is_object(tags.location)",
        "is_bool(true) and not is_bool('true')",
        "is_defined(tags.nothing) and not is_defined(tags.none)",
        "is_null(tags.nothing) and not is_null(tags.none)",
        "is_number(version) and not is_number('7') and not is_number(1 / 0)",
        "is_primitive(tags.nothing) and is_primitive(version) and not is_primitive(tags.location)",
        "is_string(deviceId)",
        "concat('a', 'b', deviceId) = 'abd1'",
        "not is_defined(concat('a', 3))",
        "length('HELLO') = 5 and length('') = 0 and length('😀') = 2",
        "lower('HeLLo') = 'hello' and upper('HeLLo') = 'HELLO'",
        "substring('hello', 2) = 'llo' and substring('hello', 5) = ''",
        "substring('hello', 1, 3) = 'ell'",
        "not is_defined(substring('hello', 6)) and not is_defined(substring('hello', -1))",
        "not is_defined(substring('hello', 3, 3))",
        "index_of('hello', 'll') = 2 and index_of('hello', 'x') = -1",
        "starts_with(deviceId, 'd') and STARTSWITH(deviceId, 'd')",
        "ends_with('hello', 'lo') and endswith('hello', 'lo') and not ends_with('hello', 'he')",
        "contains('hello', 'ell')",
    ] {
        assert_eq!(holds(condition), Some(true), "{condition}");
    }
}

#[test]
fn a_refusal_names_the_place_and_the_rule() {
    for (condition, error) in [
        ("", "at the end: a value must come here"),
        ("a =", "at the end: a value must come here"),
        ("a == 1", "at character 4: a value must come here"),
        ("é = 'x' x", "at character 9: an operator or the end must come here"),
        ("a = 'x", "at character 5: this text has no closing quotation mark"),
        ("a = '\\n'", "at character 6: after \\ may come ' \" \\ or u and four digits"),
        ("a = '\\ud800'", "at character 5: a \\u in this text stands for half a character"),
        ("(a = 1", "at the end: ')' must come here"),
        ("a = 1)", "at character 6: an operator or the end must come here"),
        ("nosuch(a)", "at character 1: there is no function nosuch"),
        ("abs(1, 2)", "at character 1: ABS takes 1 arguments and has 2"),
        ("substring('a')", "at character 1: SUBSTRING takes 2 to 3 arguments and has 1"),
        ("concat('a')", "at character 1: CONCAT takes 2 or more arguments and has 1"),
        ("a.", "at the end: a name must follow the '.'"),
        (
            "a[x]",
            "at character 2: between [ and ] stands a name in quotation marks or the number of an element",
        ),
        ("a[[]]", "at character 2: [[ needs a name and ]]"),
        ("a IN ('x')", "at character 6: a list of constants in [ ] must come here"),
        ("a IN [b]", "at character 7: a constant must come here"),
        ("a ; b", "at character 3: ';' begins nothing that the language has"),
        ("a /* b", "at character 3: this comment has no end"),
        ("and", "at character 1: a value must come here"),
    ] {
        assert_eq!(Condition::on_documents(condition).unwrap_err(), error, "{condition}");
    }
}

#[test]
fn nesting_is_bounded_and_length_is_not() {
    for (open, close) in [("(", ")"), ("not ", ""), ("- ", ""), ("abs(", ")")] {
        let nested = |depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(Condition::on_documents(&nested(60)).is_ok(), "{open}");
        let error = Condition::on_documents(&nested(100_000)).unwrap_err();
        assert!(error.ends_with("this is nested more than 64 deep"), "{error}");
    }
    for joint in [" or ", " and ", " + ", " = "] {
        let long = vec!["a"; 20_000].join(joint);
        assert_eq!(holds(&long), None, "{joint}");
    }
}

fn run(query: &str) -> Result<Vec<Json>, String> {
    let other =
        json!({ "deviceId": "d2", "tags": { "location": { "region": "DE", "floor": 2 } }, "version": 2 });
    let third =
        json!({ "deviceId": "d3", "tags": { "location": { "region": "US", "floor": 4 } }, "version": 9 });
    Query::parse(query).map(|query| query.run([twin(), other, third]))
}

#[test]
fn queries_select_documents_and_rows() {
    let ids = |query: &str| -> Vec<String> {
        let rows = run(query).unwrap_or_else(|e| panic!("{query}: {e}"));
        rows.iter().map(|row| row["deviceId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("SELECT * FROM devices"), ["d1", "d2", "d3"]);
    assert_eq!(ids("select * from Devices where tags.location.region = 'US'"), ["d1", "d3"]);
    assert_eq!(ids("SELECT TOP 1 * FROM devices WHERE version > 1"), ["d1"]);
    assert_eq!(ids("SELECT * FROM devices WHERE connectionState = 'Connected'"), ["d1"]);
    for (query, rows) in [
        (
            "SELECT deviceId, tags.location.region AS where_, tags.a FROM devices WHERE version = 2",
            json!([{ "deviceId": "d2", "where_": "DE" }]),
        ),
        ("SELECT COUNT() AS n FROM devices", json!([{ "n": 3 }])),
        ("SELECT count() AS n FROM devices WHERE deviceId = 'none'", json!([{ "n": 0 }])),
        (
            "SELECT tags.location.region AS region, COUNT() AS n, SUM(version) AS s, avg(tags.location.floor) AS f
             FROM devices GROUP BY tags.location.region",
            json!([{ "region": "US", "n": 2, "s": 16, "f": 2.5 }, { "region": "DE", "n": 1, "s": 2, "f": 2 }]),
        ),
        ("SELECT MIN(version) AS a, MAX(version) AS b FROM devices", json!([{ "a": 2, "b": 9 }])),
    ] {
        assert_eq!(Json::Array(run(query).unwrap()), rows, "{query}");
    }
    assert!(Query::parse("SELECT * FROM devices").unwrap().is_whole());
    assert!(!Query::parse("SELECT deviceId FROM devices").unwrap().is_whole());
    assert_eq!(Query::parse("SELECT * FROM devices.modules").unwrap().collection, Collection::Modules);
}

#[test]
fn a_refused_query_names_the_place_and_the_rule() {
    for (query, error) in [
        ("", "at the end: SELECT must come here"),
        ("SELECT", "at the end: a name must come here"),
        ("SELECT * devices", "at character 10: FROM must come here"),
        ("SELECT * FROM fridges", "at character 15: FROM takes devices or devices.modules"),
        ("SELECT * FROM devices.jobs", "at character 15: this hub keeps no jobs"),
        ("SELECT * FROM devices WHERE", "at the end: a value must come here"),
        ("SELECT * FROM devices ORDER BY a", "at character 23: IoT Hub's queries have no ORDER BY"),
        ("SELECT TOP 0 * FROM devices", "at character 12: TOP takes a whole number of at least 1"),
        ("SELECT lower(a) FROM devices", "at character 8: SELECT takes names and COUNT, AVG, SUM, MIN, MAX"),
        ("SELECT a, a FROM devices", "at character 11: two columns are called a"),
        (
            "SELECT a, COUNT() AS n FROM devices",
            "at character 1: beside an aggregate, SELECT may name only the property of GROUP BY",
        ),
        ("SELECT * FROM devices GROUP BY a", "at character 1: SELECT * does not go with GROUP BY"),
    ] {
        assert_eq!(run(query).unwrap_err(), error, "{query}");
    }
}

/// Text that is nearly of the language.
fn near() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "$body.x[0]",
        "tags.",
        "[[",
        "]]",
        "[",
        "]",
        "(",
        ")",
        "'x'",
        "'",
        "\"",
        "\\u00",
        "=",
        "!=",
        "<",
        "IN",
        "NIN",
        "NOT",
        "AND",
        "OR",
        "-",
        "+",
        "*",
        "/",
        "%",
        "||",
        "??",
        "0x",
        "1e",
        "1.5",
        ".",
        ",",
        "{",
        "}",
        "abs(",
        "is_defined(",
        "SELECT",
        "FROM",
        "devices",
        "WHERE",
        "COUNT()",
        "AS",
        "GROUP",
        "BY",
        "TOP",
        "true",
        "null",
        "/*",
        "*/",
        "é",
        "😀",
        "\0",
    ]);
    prop::collection::vec((word, prop::sample::select(vec!["", " "])), 0..40)
        .prop_map(|words| words.into_iter().map(|(word, gap)| word.to_owned() + gap).collect())
}

proptest! {
    #[test]
    fn nothing_makes_the_parser_or_the_evaluation_panic(text in prop_oneof![any::<String>(), near()]) {
        let document = twin();
        let _ = Condition::parse(&text);
        if let Ok(condition) = Condition::on_documents(&text) {
            condition.holds(&|name, _| find(&document, &name.steps));
        }
        if let Ok(query) = Query::parse(&text) {
            query.run([document]);
        }
    }

    #[test]
    fn numbers_and_text_mean_themselves(number in -1e15..1e15_f64, text: String) {
        let quoted = text.replace('\\', "\\\\").replace('\'', "\\'");
        prop_assert_eq!(holds(&format!("{number:?} = as_number('{number:?}')")), Some(true));
        let document = json!({ "t": text });
        let condition = Condition::on_documents(&format!("t = '{quoted}'")).unwrap();
        prop_assert_eq!(condition.holds(&|name, _| find(&document, &name.steps)), Some(true));
    }
}

#[test]
fn there_may_be_as_many_groups_as_documents() {
    let documents = |count: u32| (0..count).map(|n| json!({ "n": n, "even": n % 2 == 0 }));
    let query = |text: &str| Query::parse(text).unwrap().run(documents(50_000));
    assert_eq!(query("SELECT n, COUNT() AS c FROM devices GROUP BY n").len(), 50_000);
    let halves = query("SELECT even, COUNT() AS c FROM devices GROUP BY even");
    assert_eq!(halves, [json!({ "even": true, "c": 25_000 }), json!({ "even": false, "c": 25_000 })]);
}
