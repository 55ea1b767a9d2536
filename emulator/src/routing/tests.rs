#![allow(clippy::unwrap_used, clippy::panic)]

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::json;

use super::*;

fn message(system: &[(&'static str, &str)], properties: &[(&str, Option<&str>)], body: &[u8]) -> Message {
    Message {
        body: body.to_vec().into(),
        system: system.iter().map(|(name, value)| (Cow::Borrowed(*name), (*value).to_owned())).collect(),
        properties: properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
            .collect(),
    }
}

const JSON_UTF8: [(&str, &str); 2] = [("content-type", "application/json"), ("content-encoding", "utf-8")];

fn holds(message: &Message, condition: &str) -> Option<bool> {
    let twin = || {
        Some(json!({ "deviceId": "d", "tags": { "floor": "1" }, "properties": { "desired": { "a": 1 } } }))
    };
    let examined = Examined::new(message, &twin);
    let condition = Condition::parse(condition).unwrap_or_else(|e| panic!("{condition}: {e}"));
    condition.holds(&|name, system_only| examined.find(name, system_only))
}

#[test]
fn conditions_see_properties_body_and_twin() {
    let system = [
        ("content-type", "application/JSON; charset=utf-8"),
        ("content-encoding", "UTF-8"),
        ("message-id", "m1"),
        ("iothub-connection-device-id", "d"),
        ("iothub-enqueuedtime", "2026-01-31T12:00:00.000Z"),
        ("dt-subject", "thermostat"),
    ];
    let properties = [
        ("level", Some("storm")),
        ("Count", Some("3")),
        ("bare", None),
        ("a.b", Some("dotted")),
        ("iothub-MessageType", Some("Will")),
        ("$own", Some("mine")),
        ("$messageId", Some("not the system's")),
        ("with space", Some("x")),
    ];
    let body = br#"{"Weather":{"Temperature":50,"On":true,"Past":[20,30],"At":{"City":"Ulm"}},"x":null}"#;
    let message = message(&system, &properties, body);
    for (condition, expected) in [
        ("level = 'storm'", Some(true)),
        ("LEVEL = 'storm'", Some(true)),
        ("level = 'calm'", Some(false)),
        ("missing = 'x'", None),
        ("NOT (missing = 'x')", None),
        ("as_number(count) > 2", Some(true)),
        ("Count > 2", None),
        ("is_null(bare)", Some(true)),
        ("a.b = 'dotted'", Some(true)),
        ("iothub-MessageType = 'Will'", Some(true)),
        ("[[with space]] = 'x'", Some(true)),
        ("$messageId = 'm1'", Some(true)),
        ("$MESSAGEID = 'm1'", Some(true)),
        ("{$messageId} = 'm1'", Some(true)),
        ("$own = 'mine'", Some(true)),
        ("is_defined({$own})", Some(false)),
        ("$connectionDeviceId = 'd'", Some(true)),
        ("$enqueuedTime > '2026-01-31T11:59:59Z'", Some(true)),
        ("$dt-subject = 'thermostat'", Some(true)),
        ("is_defined($correlationId)", Some(false)),
        ("$contentType = 'application/JSON; charset=utf-8'", Some(true)),
        ("$body.Weather.Temperature > 49", Some(true)),
        ("$BODY.weather.temperature >= 51", Some(false)),
        ("$body.Weather.On", Some(true)),
        ("$body.Weather.Past[0] + $body.Weather.Past[1] = 50", Some(true)),
        ("$body.Weather.At.City = 'Ulm' AND level = 'storm'", Some(true)),
        ("length($body.Weather.At.City) = 3", Some(true)),
        ("$body.Weather.None = 1", None),
        ("is_null($body.x)", Some(true)),
        // The body as a whole cannot be asked for.
        ("is_defined($body)", Some(false)),
        ("is_defined($body[0])", Some(false)),
        ("$twin.tags.floor = '1'", Some(true)),
        ("$twin.properties.desired.a = 1", Some(true)),
        ("is_defined($twin.deviceId)", Some(false)),
    ] {
        assert_eq!(holds(&message, condition), expected, "{condition}");
    }
}

#[test]
fn a_body_counts_only_with_its_type_and_encoding() {
    let text = "{\"a\":\"ü\"}";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_marked: Vec<u8> =
        [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    for (kind, encoding, body, expected) in [
        ("application/json", "utf-8", text.as_bytes(), Some(true)),
        ("application/json", "utf-16", &utf16, Some(true)),
        ("application/json", "UTF-16", &utf16_marked, Some(true)),
        ("application/json", "utf-32", &utf32, Some(true)),
        ("application/json", "utf-8", &utf16, None),
        ("application/json", "utf-16", &utf16[1..], None),
        ("application/json", "latin1", text.as_bytes(), None),
        ("text/plain", "utf-8", text.as_bytes(), None),
        ("application/json", "utf-8", b"{", None),
    ] {
        let message = message(&[("content-type", kind), ("content-encoding", encoding)], &[], body);
        assert_eq!(holds(&message, "$body.a = 'ü'"), expected, "{kind} {encoding}");
    }
    assert_eq!(
        holds(&message(&[("content-type", "application/json")], &[], text.as_bytes()), "$body.a = 'ü'"),
        None
    );
    assert_eq!(
        holds(&message(&[("content-encoding", "utf-8")], &[], text.as_bytes()), "$body.a = 'ü'"),
        None
    );
}

fn stream(name: &str) -> EndpointOptions {
    EndpointOptions { name: name.to_owned(), file: None, stream: true }
}

fn routing(routes: Vec<RouteOptions>, fallback_route: bool) -> Routing {
    Routing::new(&RoutingOptions { endpoints: vec![stream("a"), stream("b")], routes, fallback_route })
        .unwrap()
}

/// How many messages each endpoint got from one message, and whether it goes to `events`.
fn sent(
    routing: &Routing,
    source: MessageSource,
    properties: &[(&str, Option<&str>)],
) -> (usize, usize, bool) {
    let (mut a, mut b) = (routing.stream("a").unwrap().lines(), routing.stream("B").unwrap().lines());
    let message = message(&JSON_UTF8, properties, b"{}");
    let built_in = routing.dispatch(source, &Identity::device("d"), &message, &|| None);
    let count = |lines: &mut tokio::sync::mpsc::UnboundedReceiver<Arc<str>>| {
        std::iter::from_fn(|| lines.try_recv().ok()).count()
    };
    (count(&mut a), count(&mut b), built_in)
}

#[test]
fn each_endpoint_gets_one_copy_and_the_rest_falls_back() {
    const FROM: MessageSource = MessageSource::DeviceMessages;
    let storm = [("level", Some("storm"))];
    let routes = vec![
        RouteOptions::new("r1", "level = 'storm'", "a"),
        RouteOptions::new("r2", "is_defined(level)", "a"),
        RouteOptions::new("r3", "is_defined(level)", "B"),
    ];
    assert_eq!(sent(&routing(routes.clone(), true), FROM, &storm), (1, 1, false));
    assert_eq!(sent(&routing(routes.clone(), true), FROM, &[]), (0, 0, true));
    assert_eq!(sent(&routing(routes, false), FROM, &[]), (0, 0, false));
    let also = vec![RouteOptions::new("r1", "true", "a"), RouteOptions::new("r2", "true", "events")];
    assert_eq!(sent(&routing(also, true), FROM, &storm), (1, 0, true));

    let mut twins = RouteOptions::new("twins", "true", "b");
    twins.source = MessageSource::TwinChangeEvents;
    let only_twins = routing(vec![twins.clone()], true);
    assert_eq!(sent(&only_twins, FROM, &storm), (0, 0, true));
    assert_eq!(sent(&only_twins, MessageSource::TwinChangeEvents, &[]), (0, 1, false));
    assert_eq!(sent(&only_twins, MessageSource::DeviceLifecycleEvents, &[]), (0, 0, false));
    assert!(only_twins.takes(MessageSource::TwinChangeEvents) && !only_twins.takes(FROM));

    twins.enabled = false;
    assert!(routing(vec![twins], true).is_idle());
}

#[test]
fn the_twin_is_read_once_and_only_for_a_condition_about_it() {
    let reads = Cell::new(0);
    let twin = || {
        reads.set(reads.get() + 1);
        Some(json!({ "tags": { "x": 1 } }))
    };
    let message = message(&JSON_UTF8, &[], b"{}");
    let identity = Identity::device("d");
    let without = routing(vec![RouteOptions::new("r", "is_defined(level)", "a")], true);
    without.dispatch(MessageSource::DeviceMessages, &identity, &message, &twin);
    assert_eq!(reads.get(), 0);
    let with = routing(
        vec![
            RouteOptions::new("r1", "$twin.tags.x = 2", "a"),
            RouteOptions::new("r2", "$twin.tags.x = 1", "b"),
        ],
        true,
    );
    assert!(!with.dispatch(MessageSource::DeviceMessages, &identity, &message, &twin));
    assert_eq!(reads.get(), 1);
}

#[test]
fn what_is_wrong_with_the_options_is_named() {
    let route =
        |name: &str, condition: &str, endpoint: &str| vec![RouteOptions::new(name, condition, endpoint)];
    let nowhere = EndpointOptions { name: "a".to_owned(), file: None, stream: false };
    for (endpoints, routes, error) in [
        (vec![], route("r", "true", "a"), "the route 'r': there is no endpoint 'a'"),
        (vec![], route("", "true", "events"), "the route '': a name has 1 to 64 letters"),
        (
            vec![],
            route("r", "level =", "events"),
            "the route 'r': its condition: at the end: a value must come here",
        ),
        (
            vec![],
            [route("r", "true", "events"), route("R", "true", "events")].concat(),
            "the route 'R': is given twice",
        ),
        (vec![stream("events")], vec![], "the endpoint 'events': a name has 1 to 64 letters"),
        (vec![stream("a/b")], vec![], "the endpoint 'a/b': a name has 1 to 64 letters"),
        (vec![stream("a"), stream("A")], vec![], "the endpoint 'A': is given twice"),
        (vec![nowhere], vec![], "the endpoint 'a': needs a file or 'stream = true'"),
        (vec![stream("a"); 11], vec![], "a hub has at most 10 endpoints and 100 routes"),
    ] {
        let options = RoutingOptions { endpoints, routes, fallback_route: true };
        let found = Routing::new(&options).unwrap_err();
        assert!(found.starts_with(error), "{found}");
    }
}

#[test]
fn options_are_read_with_their_defaults() {
    let options: RoutingOptions = serde_json::from_value(json!({
        "fallback-route": false,
        "endpoints": [{ "name": "storms", "file": "storms.jsonl" }, { "name": "live", "stream": true }],
        "routes": [
            { "name": "r", "condition": "level='storm'", "endpoint": "storms" },
            { "name": "t", "source": "TwinChangeEvents", "endpoint": "live", "enabled": false },
        ],
    }))
    .unwrap();
    assert_eq!(options.endpoints[0].file.as_deref(), Some(std::path::Path::new("storms.jsonl")));
    assert_eq!(options.routes[0], RouteOptions::new("r", "level='storm'", "storms"));
    assert_eq!((options.routes[1].condition.as_str(), options.routes[1].enabled), ("true", false));
    assert!(!options.fallback_route);
    assert_eq!(serde_json::from_value::<RoutingOptions>(json!({})).unwrap(), RoutingOptions::default());
    assert!(serde_json::from_value::<RoutingOptions>(json!({ "route": [] })).is_err());
}
