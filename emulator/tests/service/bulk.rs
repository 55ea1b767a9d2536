//! Many devices and modules at once.

use serde_json::{Value, json};

use crate::https::*;
use crate::support::*;

fn bulk(hub: &iothub_emulator::Hub, entries: Value) -> Answer {
    authorized(hub, "POST /devices", &[], &entries.to_string())
}

#[test]
fn each_mode_does_its_own() {
    let (hub, _events) = hub();
    let made = bulk(
        &hub,
        json!([
            {"id": "a", "importMode": "create", "status": "disabled", "tags": {"t": 1},
             "properties": {"desired": {"p": 1}}},
            {"id": "b"},
            {"id": "d", "moduleId": "new", "importMode": "createOrUpdate", "managedBy": "me"},
            {"id": "e", "importMode": "delete"},
        ]),
    );
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(made.json(), json!({"isSuccessful": true, "errors": [], "warnings": []}));
    assert_eq!(authorized(&hub, "GET /devices/a", &[], "").json()["status"], "disabled");
    let twin = authorized(&hub, "GET /twins/a", &[], "").json();
    assert_eq!((&twin["tags"], &twin["properties"]["desired"]["p"]), (&json!({"t": 1}), &json!(1)));
    assert_eq!(authorized(&hub, "GET /devices/d/modules/new", &[], "").json()["managedBy"], "me");
    assert_eq!(authorized(&hub, "GET /devices/e", &[], "").status, 404);

    let etag = authorized(&hub, "GET /devices/b", &[], "").json()["etag"].clone();
    let twin_etag = twin["etag"].clone();
    let changed = bulk(
        &hub,
        json!([
            {"id": "a", "importMode": "updateTwinIfMatchETag", "twinETag": twin_etag, "tags": {"t": 2}},
            {"id": "b", "importMode": "updateIfMatchETag", "eTag": etag, "status": "disabled"},
            {"id": "d", "importMode": "updateTwin", "properties": {"desired": {"q": 1}}},
            {"id": "c", "importMode": "createOrUpdateIfMatchETag", "eTag": "none yet"},
        ]),
    );
    assert_eq!(changed.status, 200, "{}", changed.text());
    let twin = authorized(&hub, "GET /twins/a", &[], "").json();
    assert_eq!((&twin["tags"]["t"], &twin["status"]), (&json!(2), &json!("disabled")));
    assert_eq!(authorized(&hub, "GET /devices/b", &[], "").json()["status"], "disabled");
    assert_eq!(hub.twin("d").unwrap()["properties"]["desired"]["q"], 1);
}

#[test]
fn what_fails_is_named_and_the_rest_is_done() {
    let (hub, _events) = hub();
    let answer = bulk(
        &hub,
        json!([
            {"id": "d", "importMode": "create"},
            {"id": "nobody", "importMode": "update"},
            {"id": "nobody2", "importMode": "delete"},
            {"id": "nobody3", "importMode": "updateTwin", "tags": {}},
            {"id": "d", "moduleId": "m", "importMode": "deleteIfMatchETag", "eTag": "old"},
            {"id": "e", "importMode": "createOrUpdateIfMatchETag"},
            {"id": "d", "moduleId": "x", "importMode": "create", "status": "asleep"},
            {"id": "f", "importMode": "create"},
        ]),
    );
    assert_eq!((answer.status, &answer.json()["isSuccessful"]), (400, &json!(false)));
    assert_eq!(answer.header("iothub-errorcode"), Some("BulkRegistryOperationFailure"));
    let errors: Vec<_> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| json!([e["deviceId"], e["moduleId"], e["errorCode"]]))
        .collect();
    assert_eq!(
        json!(errors),
        json!([
            ["d", null, "DeviceAlreadyExists"],
            ["nobody", null, "DeviceNotFound"],
            ["nobody2", null, "DeviceNotFound"],
            ["nobody3", null, "DeviceNotFound"],
            ["d", "m", "PreconditionFailed"],
            ["e", null, "PreconditionFailed"],
            ["d", "x", "ArgumentInvalid"],
        ])
    );
    assert_eq!(authorized(&hub, "GET /devices/f", &[], "").status, 200);
}

#[test]
fn a_bad_request_does_nothing() {
    let (hub, _events) = hub();
    let many: Vec<_> = (0..101).map(|i| json!({"id": format!("x{i}")})).collect();
    for (body, expected) in [
        (json!(many), (413, "TooManyDevices")),
        (json!([{"id": "x0"}, {"id": "x1", "importMode": "perhaps"}]), (400, "ArgumentInvalid")),
        (json!([{"id": "x0"}, {"importMode": "create"}]), (400, "ArgumentInvalid")),
        (json!([{"id": "x0"}, ["x1"]]), (400, "ArgumentInvalid")),
        (json!({"id": "x0"}), (400, "ArgumentInvalid")),
    ] {
        let answer = bulk(&hub, body);
        assert_eq!((answer.status, answer.error()), expected, "{}", answer.text());
    }
    let twice = bulk(&hub, json!([{"id": "x0"}, {"id": "x0"}]));
    assert_eq!((twice.status, twice.json()["errors"].as_array().unwrap().len()), (400, 1));
    assert_eq!(twice.json()["errors"][0]["errorCode"], "DeviceDefinedMultipleTimes");
    assert_eq!(authorized(&hub, "GET /devices/x0", &[], "").status, 404);
}

#[test]
fn the_case_of_a_mode_is_no_matter() {
    let (hub, _events) = hub();
    // As the SDK for Node writes them.
    for mode in ["Update", "Delete"] {
        let answer = bulk(&hub, json!([{"id": "d", "importMode": mode, "status": "disabled"}]));
        assert_eq!(answer.status, 200, "{mode}: {}", answer.text());
    }
    assert_eq!(authorized(&hub, "GET /devices/d", &[], "").status, 404);
    let unknown = bulk(&hub, json!([{"id": "d", "importMode": "upsert"}]));
    assert_eq!((unknown.status, unknown.error()), (400, "ArgumentInvalid"));
    assert!(unknown.text().contains("createOrUpdateIfMatchETag"), "{}", unknown.text());
    let number = bulk(&hub, json!([{"id": "d", "importMode": 1}]));
    assert_eq!((number.status, number.error()), (400, "ArgumentInvalid"));
}
