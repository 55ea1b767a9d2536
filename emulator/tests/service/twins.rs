//! Twins.

use serde_json::json;

use crate::https::*;
use crate::support::*;

#[test]
fn twins_are_read_patched_and_replaced() {
    let (hub, _events) = hub();
    let change = r#"{"properties":{"desired":{"a":{"b":1}}},"tags":{"floor":"3"}}"#;
    let answer = authorized(&hub, "PATCH /twins/d/modules/m", &["If-Match: *"], change);
    assert_eq!(answer.status, 200);
    let twin = answer.json();
    assert_eq!((&twin["deviceId"], &twin["moduleId"]), (&json!("d"), &json!("m")));
    assert_eq!(twin["tags"], json!({"floor": "3"}));
    assert_eq!(twin["properties"]["desired"]["$version"], 2);
    assert!(twin["properties"]["desired"]["$metadata"]["a"]["b"]["$lastUpdated"].is_string());
    assert_eq!(twin["connectionState"], "Disconnected");
    assert_eq!(answer.header("etag"), Some(twin["etag"].to_string().as_str()), "quoted");

    let etag = format!("If-Match: {}", twin["etag"]);
    let replacement = r#"{"properties":{"desired":{"c":1}}}"#;
    let answer = authorized(&hub, "PUT /twins/d/modules/m", &[&etag], replacement);
    assert_eq!(answer.status, 200);
    let twin = answer.json();
    assert_eq!(twin["properties"]["desired"]["c"], 1);
    assert_eq!(twin["properties"]["desired"].get("a"), None);
    assert_eq!(authorized(&hub, "GET /twins/d/modules/m", &[], "").json(), twin);
    let stale = authorized(&hub, "PUT /twins/d/modules/m", &[&etag], replacement);
    assert_eq!((stale.status, stale.error()), (412, "PreconditionFailed"));
}

#[test]
fn a_change_without_effect_is_refused() {
    let (hub, _events) = hub();
    for body in [
        json!({"desired": {"a": 1}}),
        json!({"properties": {"a": 1}}),
        json!({"properties": {"desired": {"a": 1}, "Desired": {"a": 1}}}),
        json!({"properties": {"reported": {"a": 1}}}),
        json!({"tag": {"a": 1}, "tags": {"a": 1}}),
        json!({"status": "disabled"}),
        json!({"tags": null}),
        json!({"tags": [1]}),
        json!({"properties": {"desired": 1}}),
    ] {
        for method in ["PATCH", "PUT"] {
            let answer = authorized(&hub, &format!("{method} /twins/d"), &[], &body.to_string());
            assert_eq!((answer.status, answer.error()), (400, "ArgumentInvalid"), "{method} {body}");
        }
    }
    let before = authorized(&hub, "GET /twins/d", &[], "").json();
    assert_eq!(before["version"], 2, "nothing was changed");
    assert_eq!(authorized(&hub, "PATCH /twins/d", &[], "{}").json(), before);
    let back = authorized(&hub, "PUT /twins/d", &[], &before.to_string());
    assert_eq!((back.status, &back.json()["properties"]["desired"]["$version"]), (200, &json!(2)));
}

#[test]
fn null_deletes_and_the_etag_is_about_back_ends() {
    let (hub, events) = hub();
    let first = r#"{"tags":{"a":{"b":1,"c":2},"x":1},"properties":{"desired":{"p":1,"q":2}}}"#;
    let etag = authorized(&hub, "PATCH /twins/d", &[], first).json()["etag"].clone();
    let mut client = Client::connect(&hub, "d");
    client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 0, r#"{"r":1}"#);
    events.next("twin");
    events.next("twin");
    let second = r#"{"tags":{"a":{"b":null},"x":null},"properties":{"desired":{"p":null}}}"#;
    let answer = authorized(&hub, "PATCH /twins/d", &[&format!("If-Match: {etag}")], second);
    assert_eq!(answer.status, 200, "what a device reports is no matter: {}", answer.text());
    let twin = answer.json();
    assert_eq!(twin["tags"], json!({"a": {"c": 2}}));
    assert_eq!(twin["properties"]["desired"].get("p"), None);
    assert_eq!(twin["properties"]["reported"]["r"], 1);
    assert_ne!(twin["etag"], etag);
    let weak = authorized(&hub, "PATCH /twins/d", &["If-Match: *"], r#"{"tags":{"y":1}}"#);
    assert_eq!(weak.json()["tags"], json!({"a": {"c": 2}, "y": 1}));
}

#[test]
fn a_post_may_stand_for_a_patch() {
    let (hub, _events) = hub();
    let meant = "X-HTTP-Method-Override: PATCH";
    let merged = authorized(&hub, "POST /twins/d", &[meant], r#"{"tags":{"a":1}}"#);
    assert_eq!((merged.status, &merged.json()["tags"]), (200, &json!({"a": 1})));
    // The SDK for Java sends the whole twin back, with more than a GET shows, and nothing of it set.
    let whole = json!({"deviceId": "d", "generationId": null, "statusUpdatedTime": null, "tags": {"b": 2}});
    let merged = authorized(&hub, "POST /twins/d", &[meant], &whole.to_string());
    assert_eq!((merged.status, &merged.json()["tags"]), (200, &json!({"a": 1, "b": 2})));
    let alone = authorized(&hub, "POST /twins/d", &[], "{}");
    assert_eq!((alone.status, alone.error()), (405, "GenericMethodNotAllowed"));
    let other = authorized(&hub, "POST /twins/d", &["X-HTTP-Method-Override: DELETE"], "{}");
    assert_eq!(other.status, 405, "only what a client may be unable to send");
}
