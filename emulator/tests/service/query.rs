//! Queries over twins.

use serde_json::{Value, json};

use crate::https::*;
use crate::support::*;

fn query(hub: &iothub_emulator::Hub, text: &str, headers: &[&str]) -> Answer {
    authorized(hub, "POST /devices/query", headers, &json!({ "query": text }).to_string())
}

fn ids(answer: &Answer) -> Vec<String> {
    let name = |twin: &Value| match twin["moduleId"].as_str() {
        Some(module) => format!("{}/{module}", twin["deviceId"].as_str().unwrap()),
        None => twin["deviceId"].as_str().unwrap().to_owned(),
    };
    answer.json().as_array().unwrap().iter().map(name).collect()
}

#[test]
fn twins_are_selected() {
    let (hub, _events) = hub();
    authorized(&hub, "PATCH /twins/e", &[], r#"{"tags":{"floor":3}}"#);
    let found = query(&hub, "SELECT * FROM devices WHERE tags.floor = 3", &[]);
    assert_eq!((found.status, ids(&found)), (200, vec!["e".to_owned()]), "{}", found.text());
    assert_eq!(found.json()[0], authorized(&hub, "GET /twins/e", &[], "").json());
    assert_eq!((found.header("x-ms-item-type"), found.header("x-ms-continuation")), (Some("Twin"), None));
    assert_eq!(ids(&query(&hub, "SELECT * FROM devices.modules", &[])), ["d/m"]);
    let counted = query(&hub, "SELECT COUNT() AS n FROM devices", &[]);
    assert_eq!((counted.header("x-ms-item-type"), counted.json()), (Some("Raw"), json!([{"n": 2}])));
}

#[test]
fn pages_neither_repeat_nor_leave_out() {
    let (hub, _events) = hub();
    for id in ["c", "f", "g"] {
        authorized(&hub, &format!("PUT /devices/{id}"), &[], "{}");
    }
    let all = "SELECT * FROM devices";
    let first = query(&hub, all, &["x-ms-max-item-count: 2"]);
    assert_eq!(ids(&first), ["c", "d"]);
    // What comes and goes meanwhile moves nothing.
    authorized(&hub, "DELETE /devices/d", &[], "");
    let more = format!("x-ms-continuation: {}", first.header("x-ms-continuation").unwrap());
    let second = query(&hub, all, &["x-ms-max-item-count: 2", &more]);
    assert_eq!(ids(&second), ["e", "f"]);
    let more = format!("x-ms-continuation: {}", second.header("x-ms-continuation").unwrap());
    let last = query(&hub, all, &["x-ms-max-item-count: 2", &more]);
    assert_eq!((ids(&last), last.header("x-ms-continuation")), (vec!["g".to_owned()], None));

    let names = "SELECT deviceId AS id FROM devices";
    let first = query(&hub, names, &["x-ms-max-item-count: 3"]);
    assert_eq!(first.json(), json!([{"id": "c"}, {"id": "e"}, {"id": "f"}]));
    let more = format!("x-ms-continuation: {}", first.header("x-ms-continuation").unwrap());
    assert_eq!(query(&hub, names, &[&more]).json(), json!([{"id": "g"}]));
}

#[test]
fn what_is_no_query_is_refused() {
    let (hub, _events) = hub();
    let all = "SELECT * FROM devices";
    for (text, headers) in [
        ("SELECT nonsense", &[][..]),
        ("", &[]),
        (&format!("{all} WHERE a = '{}'", "x".repeat(8192)), &[]),
        (all, &["x-ms-max-item-count: 0"]),
        (all, &["x-ms-max-item-count: many"]),
        (all, &["x-ms-continuation: bm9uc2Vuc2U"]),
        (all, &["x-ms-continuation: ?"]),
    ] {
        let answer = query(&hub, text, headers);
        assert_eq!((answer.status, answer.error()), (400, "ArgumentInvalid"), "{text} {headers:?}");
    }
    assert_eq!(authorized(&hub, "POST /devices/query", &[], "{}").status, 400);
}
