//! Who is let in, and the form of refusals.

use serde_json::json;

use crate::https::*;
use crate::support::*;

#[test]
fn back_ends_need_a_policys_token() {
    let (hub, _events) = hub();
    let device = token(&hub, "d", 60);
    let expired = policy_token(&hub, "iothubowner", "", -301);
    for (authorization, part) in
        [(None, "no Authorization"), (Some(&device), "no skn"), (Some(&expired), "expired")]
    {
        let header = authorization.map(|token| format!("Authorization: {token}"));
        let headers: Vec<&str> = header.as_deref().into_iter().collect();
        for line in [
            "POST /devices/d/messages/devicebound",
            "DELETE /devices/d/commands",
            "GET /messages/serviceBound/feedback",
            "DELETE /messages/serviceBound/feedback/x",
            "POST /messages/serviceBound/feedback/x/abandon",
            "GET /twins/d",
            "PATCH /twins/d",
            "PUT /twins/d/modules/m",
            "POST /twins/d/methods",
            "GET /devices",
            "POST /devices",
            "GET /devices/d",
            "PUT /devices/d",
            "DELETE /devices/d",
            "GET /devices/d/modules",
            "DELETE /devices/d/modules/m",
            "GET /statistics/devices",
            "GET /statistics/service",
        ] {
            let answer = request(&hub, &versioned(line), &headers, b"{}");
            assert_eq!((answer.status, answer.error()), (401, "IotHubUnauthorizedAccess"), "{line}");
            let message = answer.json()["Message"].as_str().unwrap().to_owned();
            assert!(message.starts_with("ErrorCode:IotHubUnauthorizedAccess;"), "{message}");
            assert!(message.contains(part), "{message}");
            let tracking = answer.json()["ExceptionMessage"].as_str().unwrap().to_owned();
            assert!(tracking.starts_with("Tracking ID:") && tracking.contains("-TimeStamp:"), "{tracking}");
        }
    }
}

#[test]
fn each_policy_allows_what_it_is_for() {
    let (hub, _events) = hub();
    let lines = [
        ("GET /devices/d", "", ["registryRead", "registryReadWrite"].as_slice()),
        ("GET /statistics/devices", "", &["registryRead", "registryReadWrite"]),
        ("POST /devices", "[]", &["registryReadWrite"]),
        ("DELETE /devices/e", "", &["registryReadWrite"]),
        ("GET /twins/d", "", &["service"]),
        ("DELETE /devices/d/commands", "", &["service"]),
        ("GET /messages/serviceBound/feedback", "", &["service"]),
    ];
    for (line, body, allowed) in lines {
        for policy in ["registryRead", "service", "device", "registryReadWrite"] {
            let token = format!("Authorization: {}", policy_token(&hub, policy, "", 60));
            let answer = request(&hub, &versioned(line), &[&token], body.as_bytes());
            assert_eq!(answer.status != 401, allowed.contains(&policy), "{policy}: {line} {}", answer.text());
            assert!(answer.status < 300 || answer.status == 401, "{line} {}", answer.text());
        }
    }
}

#[test]
fn a_token_covers_what_its_sr_names() {
    let (hub, _events) = hub();
    for (scope, line, expected) in [
        ("/twins/d", "GET /twins/d", 200),
        ("/twins/d", "GET /twins/d/modules/m", 200),
        ("/twins/d", "GET /twins/e", 401),
        ("/twins/d/modules/m", "GET /twins/d", 401),
        ("/devices", "GET /twins/d", 401),
        ("/devices", "GET /devices/d/modules", 200),
        ("/devices/d", "GET /devices", 401),
    ] {
        let token = format!("Authorization: {}", policy_token(&hub, "iothubowner", scope, 60));
        assert_eq!(request(&hub, &versioned(line), &[&token], b"").status, expected, "{scope}: {line}");
    }
}

#[test]
fn refusals_have_the_hubs_status() {
    let (hub, _events) = hub();
    let c2d = "POST /devices/d/messages/devicebound";
    for (line, headers, body, expected) in [
        ("POST /devices/nobody/messages/devicebound", &[][..], "x", (404, "DeviceNotFound")),
        (c2d, &["iothub-ack: perhaps"], "x", (400, "ArgumentInvalid")),
        (c2d, &["iothub-expiry: tomorrow"], "x", (400, "ArgumentInvalid")),
        ("GET /twins/nobody", &[], "", (404, "DeviceNotFound")),
        ("GET /digitaltwins/nobody", &[], "", (404, "DeviceNotFound")),
        ("PATCH /digitaltwins/d", &[], "{}", (400, "ArgumentInvalid")),
        ("POST /digitaltwins/d/components/c/commands/x", &[], "{}", (404, "DeviceNotOnline")),
        ("GET /twins/d/modules/nobody", &[], "", (404, "ModuleNotFound")),
        ("PATCH /twins/d", &[], "no json", (400, "ArgumentInvalid")),
        ("PATCH /twins/d", &[], r#"{"properties":{"desired":{"a.b":1}}}"#, (400, "ArgumentInvalid")),
        ("PATCH /twins/d", &["If-Match: \"old\""], "{}", (412, "PreconditionFailed")),
        ("POST /twins/d/methods", &[], r#"{"methodName":"m"}"#, (404, "DeviceNotOnline")),
        ("GET /nowhere", &[], "", (404, "GenericNotFound")),
        ("DELETE /twins/d", &[], "", (405, "GenericMethodNotAllowed")),
        ("GET /twins/d?api-version=", &[], "", (400, "InvalidProtocolVersion")),
        ("GET /twins/d?api-version=tomorrow", &[], "", (400, "InvalidProtocolVersion")),
        ("GET /twins/d?top=1", &[], "", (400, "InvalidProtocolVersion")),
        ("GET /configurations", &[], "", (501, "NotImplemented")),
        ("PUT /configurations/x", &[], "{}", (501, "NotImplemented")),
        ("POST /jobs/create", &[], "{}", (501, "NotImplemented")),
        ("GET /jobs/v2/query", &[], "", (501, "NotImplemented")),
        ("POST /devices/d/applyConfigurationContent", &[], "{}", (501, "NotImplemented")),
    ] {
        let answer = authorized(&hub, line, headers, body);
        assert_eq!((answer.status, answer.error()), expected, "{line} {headers:?} {body}");
    }
    let endless = "x".repeat(3 << 20);
    for line in [c2d, "PATCH /twins/d", "POST /devices"] {
        let answer = authorized(&hub, line, &[], &endless);
        assert_eq!((answer.status, answer.error()), (413, "MessageTooLarge"), "{line}");
    }
    for version in ["2021-04-12", "2020-05-31-preview"] {
        assert_eq!(authorized(&hub, &format!("GET /twins/d?api-version={version}"), &[], "").status, 200);
    }
    for _ in 0..50 {
        assert_eq!(authorized(&hub, c2d, &[], "x").status, 204);
    }
    let answer = authorized(&hub, c2d, &[], "x");
    assert_eq!((answer.status, answer.error()), (403, "DeviceMaximumQueueDepthExceeded"));
    assert_eq!(authorized(&hub, "GET /devices/d", &[], "").json()["cloudToDeviceMessageCount"], json!(50));
}
