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
