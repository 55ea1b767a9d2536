//! Direct methods.

use rumqttc::mqttbytes::QoS;
use serde_json::json;

use crate::https::*;
use crate::support::*;

#[test]
fn methods_are_called_once_somebody_is_there() {
    let (hub, _events) = hub();
    for (id, path) in [("d", "/twins/d/methods"), ("d/m", "/twins/d/modules/m/methods")] {
        let line = format!("POST {path}?api-version=2021-04-12");
        std::thread::scope(|scope| {
            let call = r#"{"methodName":"reboot","payload":[1],"connectTimeoutInSeconds":20}"#;
            let (hub, line) = (&hub, &line);
            let caller = scope.spawn(move || authorized(hub, line, &[], call));
            let mut client = Client::connect(hub, id);
            client.subscribe("$iothub/methods/POST/#", QoS::AtLeastOnce);
            let request = client.expect_publish();
            client.acknowledge(request.pkid);
            assert_eq!(&request.payload[..], b"[1]");
            let (_, rid) = request.topic.split_once("?$rid=").unwrap();
            client.publish(&format!("$iothub/methods/res/404/?$rid={rid}"), 0, "");
            let answer = caller.join().unwrap();
            assert_eq!((answer.status, answer.json()), (200, json!({"status": 404, "payload": null})));
        });
    }
}

#[test]
fn a_methods_limits_are_the_hubs() {
    let (hub, _events) = hub();
    let large = format!(r#"{{"methodName":"m","payload":"{}"}}"#, "x".repeat(128 * 1024));
    for (body, expected) in [
        (large.as_str(), 413),
        (r#"{"methodName":"m","responseTimeoutInSeconds":4}"#, 400),
        (r#"{"methodName":"m","responseTimeoutInSeconds":301}"#, 400),
        (r#"{"methodName":"m","connectTimeoutInSeconds":301}"#, 400),
        (r#"{"methodName":"a/b"}"#, 400),
        (r#"{"methodName":""}"#, 400),
        (r#"{"methodName":"component*m"}"#, 404),
    ] {
        assert_eq!(authorized(&hub, "POST /twins/d/methods", &[], body).status, expected);
    }
}

#[test]
fn a_callee_that_fails_is_described_in_the_hubs_form() {
    let (hub, _events) = hub();
    let body = r#"{"methodName":"m","responseTimeoutInSeconds":5}"#;
    let call = |path: &str| authorized(&hub, &format!("POST {path}/methods"), &[], body);
    let mut client = Client::connect(&hub, "e");
    client.subscribe("$iothub/methods/POST/#", QoS::AtMostOnce);
    for (path, status, name, code) in [
        ("/twins/d", 404, "DeviceNotOnline", 404_103),
        ("/twins/d/modules/m", 404, "DeviceNotOnline", 404_103),
        ("/twins/nobody", 404, "DeviceNotFound", 404_001),
        ("/twins/d/modules/nobody", 404, "ModuleNotFound", 404_010),
        ("/twins/e", 504, "GatewayTimeout", 504_101),
    ] {
        let answer = call(path);
        assert_eq!((answer.status, answer.error()), (status, name), "{path}");
        let outer = answer.json();
        let inner: serde_json::Value = serde_json::from_str(outer["Message"].as_str().unwrap()).unwrap();
        assert_eq!((&inner["errorCode"], &outer["ExceptionMessage"]), (&json!(code), &json!("")));
        for name in ["trackingId", "message", "timestampUtc"] {
            assert!(inner[name].is_string(), "{name} in {inner}");
        }
    }
}

#[test]
fn an_absent_payload_is_empty_and_null_is_null() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe("$iothub/methods/POST/#", QoS::AtMostOnce);
    for (payload, arrives) in [("", ""), (r#","payload":null"#, "null"), (r#","payload":"""#, "\"\"")] {
        std::thread::scope(|scope| {
            let body = format!(r#"{{"methodName":"m"{payload}}}"#);
            let hub = &hub;
            let caller = scope.spawn(move || authorized(hub, "POST /twins/d/methods", &[], &body));
            let request = client.expect_publish();
            assert_eq!(&request.payload[..], arrives.as_bytes());
            let (_, rid) = request.topic.split_once("?$rid=").unwrap();
            client.publish(&format!("$iothub/methods/res/200/?$rid={rid}"), 0, "{}");
            assert_eq!(caller.join().unwrap().status, 200);
        });
    }
}

#[test]
fn a_device_has_only_so_many_methods_to_answer() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe("$iothub/methods/POST/#", QoS::AtMostOnce);
    let call = || authorized(&hub, "POST /twins/d/methods", &[], r#"{"methodName":"m"}"#);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..100).map(|_| scope.spawn(call)).collect();
        let requests: Vec<_> = callers.iter().map(|_| client.expect_publish()).collect();
        let answer = call();
        assert_eq!((answer.status, answer.error()), (403, "DeviceMaximumInflightMethodExceeded"));
        for request in requests {
            let (_, rid) = request.topic.split_once("?$rid=").unwrap();
            client.publish(&format!("$iothub/methods/res/200/?$rid={rid}"), 0, "");
        }
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap().status, 200));
    });
}

#[test]
fn a_module_calls_what_is_on_its_own_device() {
    let (hub, _events) = hub();
    let line = format!("POST /twins/d/methods{API}");
    let own = format!("Authorization: {}", token(&hub, "d/m", 60));
    let device = format!("Authorization: {}", token(&hub, "d", 60));
    for (line, headers, expected) in [
        (line.as_str(), &[own.as_str(), "x-ms-edge-moduleId: d/m"][..], (404, "DeviceNotOnline")),
        (&line, &[&own, "x-ms-edge-moduleId: d"], (400, "ArgumentInvalid")),
        (&line, &[&own, "x-ms-edge-moduleId: e/m"], (401, "IotHubUnauthorizedAccess")),
        (&line.replace("/d/", "/e/"), &[&own, "x-ms-edge-moduleId: d/m"], (401, "IotHubUnauthorizedAccess")),
        (&line, &[&device, "x-ms-edge-moduleId: d/m"], (401, "IotHubUnauthorizedAccess")),
        (&line, &["x-ms-edge-moduleId: d/m"], (401, "IotHubUnauthorizedAccess")),
        (&line, &[&own], (401, "IotHubUnauthorizedAccess")),
    ] {
        let answer = request(&hub, line, headers, br#"{"methodName":"m"}"#);
        assert_eq!((answer.status, answer.error()), expected, "{headers:?} {}", answer.text());
    }
}
