//! Devices and modules.

use rumqttc::mqttbytes::QoS;
use serde_json::{Value, json};

use crate::https::*;
use crate::support::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";

fn put(hub: &iothub_emulator::Hub, path: &str, body: &Value) -> Answer {
    authorized(hub, &format!("PUT {path}"), &[], &body.to_string())
}

#[test]
fn a_device_is_created_updated_and_deleted() {
    let (hub, events) = hub();
    let body = json!({
        "deviceId": "new", "status": "enabled", "statusReason": "why",
        "authentication": {"type": "sas", "symmetricKey": {"primaryKey": KEY, "secondaryKey": null}},
    });
    let answer = put(&hub, "/devices/new", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let made = answer.json();
    assert_eq!(answer.header("etag"), Some(made["etag"].to_string().as_str()), "quoted");
    assert_eq!(events.next("identity")["change"], "created");
    assert_eq!(made["authentication"]["symmetricKey"]["primaryKey"], KEY);
    let secondary = made["authentication"]["symmetricKey"]["secondaryKey"].as_str().unwrap();
    assert_eq!(secondary.len(), 44, "generated");
    for (name, value) in [
        ("deviceId", json!("new")),
        ("status", json!("enabled")),
        ("statusReason", json!("why")),
        ("statusUpdatedTime", json!("0001-01-01T00:00:00Z")),
        ("connectionState", json!("Disconnected")),
        ("connectionStateUpdatedTime", json!("0001-01-01T00:00:00Z")),
        ("lastActivityTime", json!("0001-01-01T00:00:00Z")),
        ("cloudToDeviceMessageCount", json!(0)),
        ("capabilities", json!({"iotEdge": false})),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let again = put(&hub, "/devices/new", &body);
    assert_eq!((again.status, again.error()), (409, "DeviceAlreadyExists"));

    let client = Client::connect(&hub, "new");
    let etag = format!("If-Match: {}", made["etag"]);
    let mut read = authorized(&hub, "GET /devices/new", &[], "").json();
    assert_eq!(read["connectionState"], "Connected");
    read["statusReason"] = json!("because");
    let answer = authorized(&hub, "PUT /devices/new", &[&etag], &read.to_string());
    let changed = answer.json();
    assert_eq!((answer.status, &changed["statusReason"]), (200, &json!("because")));
    assert_eq!(changed["generationId"], made["generationId"]);
    assert_eq!(changed["authentication"], made["authentication"]);
    assert_ne!(changed["etag"], made["etag"]);
    let stale = authorized(&hub, "PUT /devices/new", &[&etag], &read.to_string());
    assert_eq!((stale.status, stale.error()), (412, "PreconditionFailed"));
    let stale = authorized(&hub, "DELETE /devices/new", &[&etag], "");
    assert_eq!((stale.status, stale.error()), (412, "PreconditionFailed"));
    assert!(hub.is_connected("new"), "nothing happened yet");

    let answer = authorized(&hub, "DELETE /devices/new", &["If-Match: *"], "");
    assert_eq!((answer.status, answer.text()), (204, ""));
    { client }.expect_close();
    assert_eq!(events.next("disconnected")["code"], "unknown_device");
    assert_eq!(authorized(&hub, "GET /devices/new", &[], "").error(), "DeviceNotFound");
    assert_eq!(authorized(&hub, "DELETE /devices/new", &[], "").error(), "DeviceNotFound");
    let update = authorized(&hub, "PUT /devices/new", &["If-Match: *"], &body.to_string());
    assert_eq!((update.status, update.error()), (404, "DeviceNotFound"));
    let made_again = put(&hub, "/devices/new", &body).json();
    assert_ne!(made_again["generationId"], made["generationId"]);
}

#[test]
fn a_disabled_device_is_cut_off_with_its_modules() {
    let (hub, events) = hub();
    let mut device = Client::connect(&hub, "d");
    let mut module = Client::connect(&hub, "d/m");
    let body = json!({"deviceId": "d", "status": "disabled"});
    let answer = authorized(&hub, "PUT /devices/d", &["If-Match: *"], &body.to_string());
    assert_eq!(answer.json()["status"], "disabled");
    assert_ne!(answer.json()["statusUpdatedTime"], "0001-01-01T00:00:00Z");
    device.expect_close();
    module.expect_close();
    assert_eq!(events.next("disconnected")["code"], "disabled");
    let mut late = Client::open(&hub, Tls::default());
    late.send(&rumqttc::mqttbytes::v4::Packet::Connect(connect_packet(&hub, "d/m")));
    assert_eq!(late.expect_connack().code as u8, 5);
    let body = json!({"deviceId": "d", "status": "enabled"});
    authorized(&hub, "PUT /devices/d", &["If-Match: *"], &body.to_string());
    Client::connect(&hub, "d").subscribe("$iothub/twin/res/#", QoS::AtMostOnce);
}

#[test]
fn each_kind_of_credential_is_kept() {
    let (hub, _events) = hub();
    let thumbprint = "a1".repeat(20);
    for (i, (given, kept)) in [
        (json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint}}), "selfSigned"),
        (json!({"x509Thumbprint": {"secondaryThumbprint": thumbprint}}), "selfSigned"),
        (json!({"type": "certificateAuthority"}), "certificateAuthority"),
        (json!({"type": "none"}), "none"),
        (json!({"type": "sas"}), "sas"),
        (json!({"symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}), "sas"),
        (Value::Null, "sas"),
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/devices/x{i}");
        let answer = put(&hub, &path, &json!({"deviceId": format!("x{i}"), "authentication": given}));
        assert_eq!(answer.json()["authentication"]["type"], *kept, "{}", answer.text());
        let shown = answer.json()["authentication"]["x509Thumbprint"]["primaryThumbprint"].clone();
        assert_eq!(shown == json!(thumbprint), *kept == "selfSigned");
        let has_key = answer.json()["authentication"]["symmetricKey"]["primaryKey"].is_string();
        assert_eq!(has_key, *kept == "sas");
        assert_eq!(
            authorized(&hub, &format!("GET /twins/x{i}"), &[], "").json()["authenticationType"],
            *kept
        );
    }
}

#[test]
fn what_the_registry_refuses() {
    let (hub, _events) = hub();
    let key = |text: &str| json!({"authentication": {"symmetricKey": {"primaryKey": text}}});
    for body in [
        key("no base64"),
        key("c2hvcnQ="),
        key(&"A".repeat(88)),
        json!({"authentication": {"type": "selfSigned"}}),
        json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": "12"}}}),
        json!({"authentication": {"type": "password"}}),
        json!({"authentication": KEY}),
        json!({"authentication": {"symmetricKey": [KEY]}}),
        json!({"authentication": {"symmetricKey": {"primaryKey": {"a": KEY}}}}),
        json!({"status": "asleep"}),
        json!({"statusReason": "x".repeat(129)}),
        json!({"deviceId": "other"}),
        json!([]),
    ] {
        let answer = put(&hub, "/devices/bad", &body);
        assert_eq!((answer.status, answer.error()), (400, "ArgumentInvalid"), "{body}: {}", answer.text());
        let keys = ["no base64", "c2hvcnQ=", "AAAAAAAA", KEY];
        assert!(!keys.iter().any(|key| answer.text().contains(key)), "a key in {}", answer.text());
    }
    assert_eq!(put(&hub, "/devices/b%5Bad", &json!({})).status, 400, "a bracket in the id");
    assert_eq!(put(&hub, &format!("/devices/{}", "x".repeat(129)), &json!({})).status, 400);
    assert_eq!(put(&hub, "/devices/%23%25+%40", &json!({"deviceId": "#%+@"})).status, 200);
    assert_eq!(authorized(&hub, "GET /devices/%23%25+%40", &[], "").json()["deviceId"], "#%+@");
}

#[test]
fn scopes_make_parents_and_children() {
    let (hub, _events) = hub();
    let edge = put(&hub, "/devices/edge", &json!({"capabilities": {"iotEdge": true}})).json();
    let scope = format!("ms-azure-iot-edge://edge-{}", edge["generationId"].as_str().unwrap());
    assert_eq!((&edge["deviceScope"], &edge["capabilities"]["iotEdge"]), (&json!(scope), &json!(true)));
    let leaf = put(&hub, "/devices/leaf", &json!({"deviceScope": scope})).json();
    assert_eq!((&leaf["deviceScope"], &leaf["parentScopes"]), (&json!(scope), &json!([scope])));
    let inner = json!({"capabilities": {"iotEdge": true}, "deviceScope": scope, "parentScopes": [scope]});
    let inner = put(&hub, "/devices/inner", &inner).json();
    assert_ne!(inner["deviceScope"], json!(scope));
    assert_eq!(inner["parentScopes"], json!([scope]));
    let grown = json!({"capabilities": {"iotEdge": true}, "deviceScope": scope}).to_string();
    let grown = authorized(&hub, "PUT /devices/leaf", &["If-Match: *"], &grown).json();
    assert_eq!(grown["deviceScope"].as_str().unwrap().split('-').nth(3), Some("edge://leaf"), "{grown}");
    authorized(&hub, "PUT /devices/leaf", &["If-Match: *"], &json!({"deviceScope": scope}).to_string());
    let twin = authorized(&hub, "GET /twins/leaf", &[], "").json();
    assert_eq!((&twin["deviceScope"], &twin["parentScopes"]), (&json!(scope), &json!([scope])));
}

#[test]
fn modules_belong_to_a_device() {
    let (hub, _events) = hub();
    let body = json!({"deviceId": "d", "moduleId": "new", "managedBy": "me"});
    let answer = put(&hub, "/devices/d/modules/new", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let made = answer.json();
    assert_eq!((&made["moduleId"], &made["managedBy"]), (&json!("new"), &json!("me")));
    assert_eq!(put(&hub, "/devices/d/modules/new", &body).error(), "ModuleAlreadyExistsOnDevice");
    let orphan = put(&hub, "/devices/nobody/modules/new", &json!({}));
    assert_eq!((orphan.status, orphan.error()), (404, "DeviceNotFound"));
    let list = authorized(&hub, "GET /devices/d/modules", &[], "").json();
    assert_eq!(list, json!([authorized(&hub, "GET /devices/d/modules/m", &[], "").json(), made]));
    assert_eq!(authorized(&hub, "GET /devices/nobody/modules", &[], "").error(), "DeviceNotFound");
    assert_eq!(authorized(&hub, "DELETE /devices/d/modules/new", &["If-Match: *"], "").status, 204);
    assert_eq!(authorized(&hub, "GET /devices/d/modules/new", &[], "").error(), "ModuleNotFound");
    for i in 1..50 {
        assert_eq!(put(&hub, &format!("/devices/d/modules/m{i}"), &json!({})).status, 200);
    }
    let one_more = put(&hub, "/devices/d/modules/m50", &json!({}));
    assert_eq!((one_more.status, one_more.error()), (413, "TooManyModulesOnDevice"));
}

#[test]
fn devices_are_listed_and_counted() {
    let (hub, _events) = hub();
    put(&hub, "/devices/f", &json!({"status": "disabled"}));
    let ids = |query: &str| -> Vec<String> {
        let list = authorized(&hub, &format!("GET /devices{API}{query}"), &[], "").json();
        list.as_array().unwrap().iter().map(|d| d["deviceId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("&top=2"), ["d", "e"]);
    for all in ["", "&top=0", "&top=1001", "&top=-1", "&top=many"] {
        assert_eq!(ids(all), ["d", "e", "f"], "{all}");
    }
    let _client = Client::connect(&hub, "e");
    let _module = Client::connect(&hub, "d/m");
    let devices = authorized(&hub, "GET /statistics/devices", &[], "").json();
    let counts = json!({"totalDeviceCount": 3, "enabledDeviceCount": 2, "disabledDeviceCount": 1});
    assert_eq!(devices, counts);
    let service = authorized(&hub, "GET /statistics/service", &[], "").json();
    assert_eq!(service, json!({"connectedDeviceCount": 1}));
}

#[test]
fn the_same_is_done_inside_a_process() {
    let (hub, events) = hub();
    assert!(hub.create("new").unwrap().starts_with("HostName=localhost;DeviceId=new;SharedAccessKey="));
    assert!(hub.create("new/part").unwrap().contains(";ModuleId=part;"));
    assert_eq!(hub.create("new").unwrap_err().code, 409_001);
    assert_eq!(hub.create("nobody/part").unwrap_err().code, 404_001);
    let mut client = Client::connect(&hub, "new");
    let mut module = Client::connect(&hub, "new/part");
    hub.set_enabled("new/part", false).unwrap();
    module.expect_close();
    assert_eq!(events.next("disconnected")["code"], "disabled");
    assert!(hub.is_connected("new"), "its device goes on");
    hub.delete("new").unwrap();
    client.expect_close();
    assert_eq!(hub.delete("new/part").unwrap_err().code, 404_010, "gone with its device");
    hub.send_c2d("d", iothub_emulator::CloudMessage::new("x")).unwrap();
    assert_eq!(hub.purge("d").unwrap(), 1);
}

#[test]
fn a_slash_at_the_end_of_a_path_is_no_matter() {
    let (hub, _events) = hub();
    for path in ["/devices", "/devices/d", "/devices/d/modules", "/twins/d", "/statistics/devices"] {
        let plain = authorized(&hub, &format!("GET {path}"), &[], "");
        // So the SDK for Node lists devices.
        let answer = authorized(&hub, &format!("GET {path}/"), &[], "");
        assert_eq!((answer.status, answer.json()), (200, plain.json()), "{path}");
    }
}

#[test]
fn a_precondition_that_cannot_be_read_is_none_that_holds() {
    let (hub, _events) = hub();
    for line in ["DELETE /devices/d", "PUT /devices/d", "PATCH /twins/d"] {
        let body = if line.starts_with("PATCH") { r#"{"tags":{"a":1}}"# } else { "{}" };
        let answer = authorized(&hub, line, &["If-Match: \u{fc}"], body);
        assert_eq!((answer.status, answer.error()), (400, "ArgumentInvalid"), "{line}");
    }
    assert_eq!(authorized(&hub, "GET /twins/d", &[], "").json()["tags"], json!({}));
}

#[test]
fn an_edge_device_has_a_scope_however_it_is_made() {
    let mut options =
        iothub_emulator::Options::default().device("given").enroll("enrolled").enroll("was-edge");
    options.identities[0].edge = true;
    options.dps.enrollments[0].edge = true;
    let (hub, _events) = start(options);
    put(&hub, "/devices/made", &json!({"capabilities": {"iotEdge": true}}));
    put(&hub, "/devices/was-edge", &json!({"capabilities": {"iotEdge": true}}));
    for id in ["enrolled", "was-edge"] {
        provisioning::provision(&mut provisioning::enter_enrolled(&hub, id), "");
    }
    for id in ["given", "made", "enrolled"] {
        let device = authorized(&hub, &format!("GET /devices/{id}"), &[], "").json();
        let generation = device["generationId"].as_str().unwrap();
        assert_eq!(device["deviceScope"], format!("ms-azure-iot-edge://{id}-{generation}"));
        assert_eq!(device["parentScopes"], json!([]));
    }
    let device = authorized(&hub, "GET /devices/was-edge", &[], "").json();
    assert_eq!((&device["deviceScope"], &device["capabilities"]["iotEdge"]), (&Value::Null, &json!(false)));
}
