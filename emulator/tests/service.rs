//! The HTTPS port.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use iothub_emulator::Hub;
use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use rumqttc::mqttbytes::QoS;
use serde_json::{Value, json};
use support::*;

fn owner_token(hub: &Hub, life: i64) -> String {
    let service: ConnectionString = hub.service_connection_string().parse().unwrap();
    let key = SharedAccessKey::from_base64(&service.shared_access_key.unwrap()).unwrap();
    let policy = service.shared_access_key_name.unwrap();
    let expiry = unix_now().saturating_add_signed(life);
    sas::token(&sas::encode_resource(&service.host_name), &key, expiry, Some(&policy))
}

/// One request; the status and the body.
fn request(hub: &Hub, line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let mut stream = secure(hub, hub.https_address(), Tls::default());
    let mut text = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    write!(stream, "{text}\r\n{body}").unwrap();
    let mut answer = Vec::new();
    // The end may come without a close_notify.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn authorized(hub: &Hub, line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let authorization = format!("Authorization: {}", owner_token(hub, 60));
    request(hub, line, &[&[authorization.as_str()], headers].concat(), body)
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[test]
fn c2d_is_posted_with_its_properties_as_headers() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce);
    let headers = [
        "iothub-messageid: 42",
        "iothub-correlationid: c",
        "iothub-expiry: 3237-07-19T23:06:40Z",
        "iothub-ack: full",
        "content-type: text/plain",
        "content-encoding: utf-8",
        "iothub-app-level: very high",
    ];
    let path = "POST /devices/d/messages/devicebound?api-version=2021-04-12";
    assert_eq!(authorized(&hub, path, &headers, "hello").0, 204);
    let publish = client.expect_publish();
    assert_eq!(&publish.payload[..], b"hello");
    let (_, bag) = publish.topic.rsplit_once('/').unwrap();
    for part in [
        "%24.mid=42",
        "%24.cid=c",
        "%24.exp=3237-07-19T23%3A06%3A40.0000000Z",
        "iothub-ack=full",
        "%24.ct=text%2Fplain",
        "%24.ce=utf-8",
        "level=very%20high",
    ] {
        assert!(bag.split('&').any(|pair| pair == part), "{part} in {bag}");
    }
    client.acknowledge(publish.pkid);
    assert_eq!(events.find("c2d", |e| e["state"] == "completed")["message_id"], "42");
}

#[test]
fn headers_reach_the_topic_as_they_are() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe("devices/d/messages/devicebound/#", QoS::AtMostOnce);
    let path = "POST /devices/d/messages/devicebound";
    for (header, pair) in [
        ("iothub-app-k:", "k="),
        ("iothub-app-k: 1+1", "k=1%2B1"),
        ("iothub-app-k: a/b/", "k=a%2Fb%2F"),
        ("iothub-app-k: 100%25", "k=100%2525"),
        ("iothub-app-k: Grüße", "k=Gr%C3%BC%C3%9Fe"),
        ("iothub-app-a%b: 1", "a%25b=1"),
        ("iothub-expiry: 2999-12-31T23:59:59.123456+01:00", "%24.exp=2999-12-31T22%3A59%3A59.1234560Z"),
        ("emulator-bag: %24.mid=1&k=a%2fb&n/", "%24.mid=1&k=a%2fb&n/"),
    ] {
        assert_eq!(authorized(&hub, path, &[header], "x").0, 204, "{header}");
        let topic = client.expect_publish().topic;
        let bag = topic.strip_prefix("devices/d/messages/devicebound/").unwrap();
        assert!(bag == pair || bag.split('&').any(|part| part == pair), "{header}: {bag}");
    }
    assert_eq!(authorized(&hub, path, &["iothub-app-: x"], "x").0, 400);
}

#[test]
fn a_message_is_posted_to_an_input() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d/m");
    client.subscribe("devices/d/modules/m/inputs/#", QoS::AtLeastOnce);
    let headers = ["iothub-messageid: 42", "iothub-app-level: high", "content-type: a/b"];
    let path = "POST /devices/d/modules/m/inputs/in";
    assert_eq!(authorized(&hub, path, &headers, "hello").0, 204);
    let publish = client.expect_publish();
    assert_eq!(publish.topic, "devices/d/modules/m/inputs/in/level=high&%24.mid=42&%24.ct=a%2Fb");
    assert_eq!(&publish.payload[..], b"hello");
    assert_eq!(authorized(&hub, "POST /devices/d/modules/x/inputs/in", &[], "hello").0, 404);
    assert_eq!(request(&hub, path, &[], "hello").0, 401);
}

#[test]
fn back_ends_need_a_policys_token() {
    let (hub, _events) = hub();
    let path = "POST /devices/d/messages/devicebound";
    let device = token(&hub, "d", 60);
    let expired = owner_token(&hub, -301);
    for (authorization, part) in
        [(None, "no Authorization"), (Some(&device), "no skn"), (Some(&expired), "expired")]
    {
        let header = authorization.map(|token| format!("Authorization: {token}"));
        let headers: Vec<&str> = header.as_deref().into_iter().collect();
        for line in [path, "GET /twins/d", "PATCH /twins/d", "POST /twins/d/methods"] {
            let (status, body) = request(&hub, line, &headers, "{}");
            assert_eq!(status, 401, "{line}");
            assert!(parse(&body)["Message"].as_str().unwrap().contains(part), "{body}");
        }
    }
}

#[test]
fn refusals_have_the_hubs_status() {
    let (hub, _events) = hub();
    let c2d = "POST /devices/d/messages/devicebound";
    for (line, headers, body, expected) in [
        ("POST /devices/nobody/messages/devicebound", &[][..], "x", 404),
        (c2d, &["iothub-ack: perhaps"], "x", 400),
        (c2d, &["iothub-expiry: tomorrow"], "x", 400),
        ("GET /twins/nobody", &[], "", 404),
        ("PATCH /twins/d", &[], "no json", 400),
        ("PATCH /twins/d", &[], r#"{"properties":{"desired":{"a.b":1}}}"#, 400),
        ("PATCH /twins/d", &["If-Match: \"old\""], "{}", 412),
        ("POST /twins/d/methods", &[], r#"{"methodName":"m"}"#, 404),
        ("GET /nowhere", &[], "", 404),
    ] {
        assert_eq!(authorized(&hub, line, headers, body).0, expected, "{line} {headers:?} {body}");
    }
    for _ in 0..50 {
        assert_eq!(authorized(&hub, c2d, &[], "x").0, 204);
    }
    let (status, body) = authorized(&hub, c2d, &[], "x");
    assert_eq!(status, 403);
    assert!(body.contains("DeviceMaximumQueueDepthExceeded"));
}

#[test]
fn twins_are_read_patched_and_replaced() {
    let (hub, _events) = hub();
    let change = r#"{"properties":{"desired":{"a":{"b":1}}},"tags":{"floor":"3"}}"#;
    let (status, body) =
        authorized(&hub, "PATCH /twins/d/modules/m?api-version=2021-04-12", &["If-Match: *"], change);
    assert_eq!(status, 200);
    let twin = parse(&body);
    assert_eq!((&twin["deviceId"], &twin["moduleId"]), (&json!("d"), &json!("m")));
    assert_eq!(twin["tags"], json!({"floor": "3"}));
    assert_eq!(twin["properties"]["desired"]["$version"], 2);
    assert!(twin["properties"]["desired"]["$metadata"]["a"]["b"]["$lastUpdated"].is_string());
    assert_eq!(twin["connectionState"], "Disconnected");

    let etag = format!("If-Match: {}", twin["etag"]);
    let replacement = r#"{"properties":{"desired":{"c":1}}}"#;
    let (status, body) = authorized(&hub, "PUT /twins/d/modules/m", &[&etag], replacement);
    assert_eq!(status, 200);
    assert_eq!(parse(&body)["properties"]["desired"]["c"], 1);
    assert_eq!(parse(&body)["properties"]["desired"].get("a"), None);
    assert_eq!(parse(&authorized(&hub, "GET /twins/d/modules/m", &[], "").1), parse(&body));
}

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
            let (status, body) = caller.join().unwrap();
            assert_eq!((status, parse(&body)), (200, json!({"status": 404, "payload": null})));
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
        assert_eq!(authorized(&hub, "POST /twins/d/methods", &[], body).0, expected);
    }
}

#[test]
fn events_are_streamed() {
    let (hub, _events) = hub();
    let mut stream = secure(&hub, hub.https_address(), Tls::default());
    write!(stream, "GET /emulator/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("200"));
    lines.find(|line| line.is_empty()).unwrap();
    let mut client = Client::connect(&hub, "d");
    client.publish("devices/d/messages/events/a=1", 0, "two\nlines");
    let events = lines.filter_map(|line| line.strip_prefix("data: ").map(parse));
    let kinds: Vec<Value> = events.take(2).collect();
    assert_eq!(kinds[0]["event"], "connected");
    assert_eq!(kinds[1]["body"], "two\nlines");
}

#[test]
fn faults_are_posted() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    let path = "POST /emulator/faults";
    let json = ["Content-Type: application/json"];
    let (status, body) = request(&hub, path, &json, r#"{"fault":"explode"}"#);
    assert_eq!(status, 400);
    assert!(body.contains("no fault 'explode'"), "{body}");
    assert_eq!(request(&hub, path, &json, r#"{"fault":"drop","color":"red"}"#).0, 400);
    let (status, body) = request(&hub, path, &json, r#"{"fault":"drop","device":"d","count":1}"#);
    assert_eq!((status, parse(&body)), (200, json!({"reached": 1})));
    client.expect_close();
}
