//! Messages on their routes to files, event streams and the built-in endpoint.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/https.rs"]
mod https;
mod support;

use std::path::PathBuf;

use https::{EventStream, request};
use iothub_emulator::{EndpointOptions, MessageSource, Options, RouteOptions, RoutingOptions};
use serde_json::{Value, json};
use support::*;

const EVENTS: &str = "devices/d/messages/events/";

/// A file that goes away with the test.
struct Lines(PathBuf);

impl Lines {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("routing-{}-{}", std::process::id(), rand_part())))
    }

    fn read(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn rand_part() -> String {
    let mut bytes = [0; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).unwrap();
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn options(endpoints: Vec<EndpointOptions>, routes: Vec<RouteOptions>) -> Options {
    let routing = RoutingOptions { endpoints, routes, ..RoutingOptions::default() };
    Options { routing, ..Options::default() }.device("d").module("d", "m")
}

fn stream(name: &str) -> EndpointOptions {
    EndpointOptions { name: name.to_owned(), file: None, stream: true }
}

fn route(source: MessageSource, condition: &str, endpoint: &str) -> RouteOptions {
    let name = format!("{source:?}-{endpoint}");
    RouteOptions { source, ..RouteOptions::new(&name, condition, endpoint) }
}

#[test]
fn messages_go_where_their_routes_say_and_the_rest_to_events() {
    let file = Lines::new();
    std::fs::write(&file.0, "{\"old\":1}\n").unwrap();
    let storms = EndpointOptions { name: "storms".to_owned(), file: Some(file.0.clone()), stream: true };
    let routes = vec![
        RouteOptions::new("level", "level = 'storm'", "storms"),
        RouteOptions::new("hot", "$body.temperature > 50", "storms"),
        RouteOptions::new("tagged", "$twin.tags.watched AND is_defined(watch)", "storms"),
    ];
    let (hub, events) = start(options(vec![storms], routes));
    let mut live = EventStream::open(&hub, "/emulator/endpoints/storms");
    let tags = json!({ "tags": { "watched": true } }).to_string();
    let authorization = format!("Authorization: {}", https::owner_token(&hub));
    assert_eq!(
        request(&hub, &https::versioned("PATCH /twins/d"), &[&authorization], tags.as_bytes()).status,
        200
    );

    let (mut client, _) =
        Client::connect_with(&hub, "d", |c| c.last_will = will(&format!("{EVENTS}level=storm"), "gone"));
    for (at, (bag, body)) in [
        ("level=storm&%24.mid=1", "both"),
        ("level=calm", "calm"),
        ("%24.ct=application%2Fjson&%24.ce=utf-8", "{\"temperature\":51}"),
        ("%24.ct=application%2Fjson", "{\"temperature\":52}"),
        ("watch", "watched"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = u16::try_from(at + 1).unwrap();
        client.publish(&format!("{EVENTS}{bag}"), id, body);
        client.expect_puback(id);
    }
    drop(client);

    let expected = ["both", "{\"temperature\":51}", "watched", "gone"];
    let first = live.next();
    assert_eq!(
        (&first["event"], &first["device"], &first["body"]),
        (&json!("telemetry"), &json!("d"), &json!("both"))
    );
    assert_eq!(first["system"]["message-id"], "1");
    assert_eq!(first["properties"], json!({ "level": "storm" }));
    for body in &expected[1..] {
        assert_eq!(live.next()["body"], *body);
    }
    for body in ["calm", "{\"temperature\":52}"] {
        assert_eq!(events.next("telemetry")["body"], body);
    }
    assert_eq!(events.next("disconnected")["device"], "d");
    drop(hub);
    let lines = file.read();
    assert_eq!(lines[0], json!({ "old": 1 }));
    let bodies: Vec<_> = lines[1..].iter().map(|line| line["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, expected);
    assert_eq!(lines[4]["properties"]["iothub-MessageType"], "Will");
    assert!(events.0.try_iter().all(|event| event["event"] != "telemetry"), "no second copy");
}

#[test]
fn changes_of_twins_and_connections_can_be_routed() {
    let routes = vec![
        route(MessageSource::TwinChangeEvents, "opType = 'updateTwin'", "twins"),
        route(MessageSource::TwinChangeEvents, "is_defined($body.properties.reported.on)", "events"),
        route(MessageSource::DeviceConnectionStateEvents, "true", "links"),
    ];
    let (hub, events) = start(options(vec![stream("twins"), stream("links")], routes));
    let mut twins = EventStream::open(&hub, "/emulator/endpoints/twins");
    let mut links = EventStream::open(&hub, "/emulator/endpoints/links");
    let parse = |event: &Value| -> Value { serde_json::from_str(event["body"].as_str().unwrap()).unwrap() };

    let mut client = Client::connect(&hub, "d/m");
    let connected = links.next();
    assert_eq!((&connected["device"], &connected["module"]), (&json!("d"), &json!("m")));
    assert_eq!(connected["system"]["iothub-message-source"], "deviceConnectionStateEvents");
    for (name, value) in [
        ("opType", "deviceConnected"),
        ("iothub-message-schema", "deviceConnectionStateNotification"),
        ("hubName", "localhost"),
        ("deviceId", "d"),
        ("moduleId", "m"),
    ] {
        assert_eq!(connected["properties"][name], value);
    }

    client.subscribe("$iothub/twin/res/#", rumqttc::mqttbytes::QoS::AtMostOnce);
    client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 0, "{\"on\":true}");
    client.expect_publish();
    let reported = twins.next();
    assert_eq!(reported["properties"]["iothub-message-schema"], "twinChangeNotification");
    let body = parse(&reported);
    assert_eq!(body["properties"]["reported"]["on"], true);
    assert_eq!(body["properties"]["reported"]["$version"], 2);
    assert!(body["properties"]["reported"]["$metadata"]["on"]["$lastUpdated"].is_string());
    assert_eq!(parse(&events.next("telemetry")), body);

    hub.update_desired("d/m", &json!({ "interval": 5 })).unwrap();
    let body = parse(&twins.next());
    assert_eq!(body["properties"]["desired"]["interval"], 5);
    assert!(body["properties"].get("reported").is_none());

    client.disconnect();
    let gone = links.next();
    assert_eq!(gone["properties"]["opType"], "deviceDisconnected");
    let number = |event: &Value| parse(event)["sequenceNumber"].as_str().unwrap().to_owned();
    assert!(number(&connected) < number(&gone) && number(&gone).len() == 64);
}

#[test]
fn the_lives_of_devices_can_be_routed() {
    let routes = vec![route(MessageSource::DeviceLifecycleEvents, "NOT starts_with(deviceId, 'x')", "lives")];
    let (hub, _events) = start(options(vec![stream("lives")], routes));
    let mut lives = EventStream::open(&hub, "/emulator/endpoints/lives");
    let authorization = format!("Authorization: {}", https::owner_token(&hub));
    for id in ["x1", "n1"] {
        let body = json!({ "deviceId": id }).to_string();
        let answer = request(&hub, &format!("PUT /devices/{id}{API}"), &[&authorization], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let headers = [authorization.as_str(), "If-Match: *"];
    assert_eq!(request(&hub, &format!("DELETE /devices/n1{API}"), &headers, b"").status, 204);
    for operation in ["createDeviceIdentity", "deleteDeviceIdentity"] {
        let event = lives.next();
        assert_eq!((&event["device"], &event["properties"]["opType"]), (&json!("n1"), &json!(operation)));
        assert_eq!(event["properties"]["iothub-message-schema"], "deviceLifecycleNotification");
        let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&body["deviceId"], &body["properties"]["desired"]["$version"]),
            (&json!("n1"), &json!(1))
        );
    }
}

#[test]
fn an_endpoint_that_is_no_stream_cannot_be_read() {
    let file = Lines::new();
    let quiet = EndpointOptions { name: "quiet".to_owned(), file: Some(file.0.clone()), stream: false };
    let (hub, _events) = start(options(vec![quiet], Vec::new()));
    for name in ["quiet", "none", "events"] {
        assert_eq!(request(&hub, &format!("GET /emulator/endpoints/{name}"), &[], b"").status, 404, "{name}");
    }
}

#[test]
fn a_hub_with_a_wrong_route_does_not_start() {
    let routes = vec![RouteOptions::new("r", "level = ", "events")];
    let error = iothub_emulator::Hub::start(options(Vec::new(), routes)).err().unwrap().to_string();
    assert_eq!(error, "the route 'r': its condition: at the end: a value must come here");
    let file = EndpointOptions { name: "f".to_owned(), file: Some("/nowhere/at/all".into()), stream: false };
    let error = iothub_emulator::Hub::start(options(vec![file], Vec::new())).err().unwrap().to_string();
    assert!(error.starts_with("the endpoint 'f': /nowhere/at/all: "), "{error}");
}
