#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn vectors(area: &str) -> Vec<(Value, Value)> {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../../tests/vectors/vectors.json")).unwrap();
    let found: Vec<_> = all
        .iter()
        .filter(|vector| vector["area"] == area)
        .map(|vector| (vector["input"].clone(), vector["expected"].clone()))
        .collect();
    assert!(!found.is_empty(), "no vectors for {area}");
    found
}

#[test]
fn user_names_are_read_as_the_vectors_say() {
    for (input, expected) in vectors("connect.parse_username") {
        let result = parse_username(input.as_str().unwrap(), ApiVersion::Required);
        if expected.get("error").is_some() {
            assert!(result.is_err(), "{input}");
            continue;
        }
        let username = result.unwrap();
        assert_eq!(username.identity.device_id(), expected["device_id"], "{input}");
        assert_eq!(username.identity.module_id().unwrap_or(""), expected["module_id"], "{input}");
        assert_eq!(username.model_id.as_deref(), expected["model_id"].as_str(), "{input}");
    }
}

#[test]
fn every_sdks_user_name_is_read() {
    for (_, expected) in vectors("connect.username") {
        let text = expected.as_str().unwrap();
        parse_username(text, ApiVersion::Required).unwrap_or_else(|error| panic_with(text, error));
    }
}

#[allow(clippy::panic)]
fn panic_with(text: &str, error: &str) -> Username {
    panic!("{text}: {error}")
}

#[test]
fn user_names_beyond_the_vectors() {
    for (text, expected) in [
        ("h/d/?api-version=2021-04-12", Some("d")),
        ("h/d/?api-version=2025-08-01-preview", Some("d")),
        ("h/d/m/?api-version=2021-04-12", Some("d/m")),
        ("h/what?/?api-version=2021-04-12", Some("what?")),
        (
            "h/d/api-version=2017-06-30/DeviceClientType=Microsoft.Azure.Devices.Client/1.5.1-preview-003",
            Some("d"),
        ),
        ("h/d/?DeviceClientType=x&api-version=2021-04-12", Some("d")),
        ("h/d/?api-version=", None),
        ("h/d/?api-version=latest", None),
        ("h/d/?DeviceClientType=x", None),
        ("h/d?api-version=2021-04-12", None),
        ("h/d/m/n/?api-version=2021-04-12", None),
        ("h/a b/?api-version=2021-04-12", None),
        ("", None),
    ] {
        let identity =
            parse_username(text, ApiVersion::Required).ok().map(|username| username.identity.to_string());
        assert_eq!(identity.as_deref(), expected, "{text}");
    }
    assert!(
        parse_username(&format!("h/{}/?api-version=2021-04-12", "d".repeat(129)), ApiVersion::Required)
            .is_err()
    );
}

#[test]
fn filters_are_classified_as_the_vectors_say() {
    for (input, expected) in vectors("hub.classify_filter") {
        let identity = match expected.as_str().unwrap() {
            "module_messages" => Identity::module("device1", "module1"),
            _ => Identity::device("device1"),
        };
        let expected = match expected.as_str().unwrap() {
            "twin_response" => Some(Subject::TwinResponses),
            "module_messages" => Some(Subject::Inputs),
            "c2d" => Some(Subject::C2d),
            _ => None,
        };
        assert_eq!(classify_filter(&identity, input.as_str().unwrap()), expected, "{input}");
    }
}

#[test]
fn filters_beyond_the_vectors() {
    let device = Identity::device("d");
    let module = Identity::module("d", "m");
    for (identity, filter, expected) in [
        (&device, "$iothub/twin/PATCH/properties/desired/#", Some(Subject::Desired)),
        (&device, "$iothub/methods/POST/#", Some(Subject::Methods)),
        (&device, "$iothub/methods/POST/reboot/#", Some(Subject::Methods)),
        (&device, "$iothub/methods/POST/+/#", None),
        (&device, "devices/d/messages/devicebound/#", Some(Subject::C2d)),
        (&device, "devices/d/messages/devicebound/+", None),
        (&device, "devices/D/messages/devicebound/#", None),
        (&device, "devices/dd/messages/devicebound/#", None),
        (&device, "devices/+/messages/devicebound/#", None),
        (&device, "devices/d/messages/events/#", None),
        (&device, "#", None),
        (&module, "devices/d/modules/m/inputs/#", Some(Subject::Inputs)),
        (&module, "devices/d/modules/m/#", Some(Subject::Inputs)),
        (&module, "devices/d/modules/other/#", None),
        (&module, "devices/d/messages/devicebound/#", None),
    ] {
        assert_eq!(classify_filter(identity, filter), expected, "{identity} {filter}");
    }
}

#[test]
fn topics_are_classified() {
    let device = Identity::device("d");
    let module = Identity::module("d", "m");
    let telemetry = |bag| Some(Request::Telemetry { bag });
    for (identity, topic, expected) in [
        (&device, "devices/d/messages/events", telemetry("")),
        (&device, "devices/d/messages/events/", telemetry("")),
        (&device, "devices/d/messages/events/a=b/", telemetry("a=b/")),
        (&device, "devices/d/messages/eventsx", None),
        (&device, "devices/e/messages/events/", None),
        (&device, "devices/d/modules/m/messages/events/", None),
        (&module, "devices/d/modules/m/messages/events/%24.on=o", telemetry("%24.on=o")),
        (&module, "devices/d/messages/events/", None),
        (&device, "$iothub/twin/GET/?$rid=7", Some(Request::TwinGet { rid: "7" })),
        (&device, "$iothub/twin/GET?$rid=7", Some(Request::TwinGet { rid: "7" })),
        (&device, "$iothub/twin/GET/?$rid=", None),
        (&device, "$iothub/twin/GET/", None),
        (
            &device,
            "$iothub/twin/PATCH/properties/reported/?$version=3&$rid=7",
            Some(Request::TwinReport { rid: Some("7"), version: Some("3") }),
        ),
        (
            &device,
            "$iothub/twin/PATCH/properties/reported/",
            Some(Request::TwinReport { rid: None, version: None }),
        ),
        (&device, "$iothub/twin/PATCH/properties/desired/?$rid=7", None),
        (
            &device,
            "$iothub/methods/res/200/?$rid=1&$random&$version=2",
            Some(Request::MethodAnswer { status: 200, rid: "1" }),
        ),
        (&device, "$iothub/methods/res/ok/?$rid=1", None),
        (&device, "telemetry", None),
    ] {
        assert_eq!(classify_topic(identity, topic).ok(), expected, "{identity} {topic}");
    }
}

#[test]
fn a_bag_becomes_system_and_application_properties() {
    let bag = "%24.mid=1234&$.ct=application%2Fjson&$.new=x&prop1&prop2=&prop3=a%20string&p+4=1+1/rest=x";
    let properties = parse_events_bag(bag, &Settings::default()).unwrap();
    let system: Vec<_> =
        properties.system.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
    assert_eq!(system, [("message-id", "1234"), ("content-type", "application/json"), ("$.new", "x")]);
    let application: Vec<_> =
        properties.application.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(
        application,
        [("prop1", None), ("prop2", Some("")), ("prop3", Some("a string")), ("p+4", Some("1+1"))]
    );
    let counted = "1234".len() + "application/json".len() + "x".len();
    assert_eq!(properties.size, counted + "prop1prop2prop3a stringp+41+1".len());
}

#[test]
fn the_later_of_two_equal_names_wins() {
    let properties = parse_events_bag("a=1&b=2&a=3", &Settings::default()).unwrap();
    assert_eq!(properties.application, [("a".into(), Some("3".into())), ("b".into(), Some("2".into()))]);
}

#[test]
fn a_second_equals_sign_and_bad_utf8_are_refused() {
    assert!(parse_events_bag("a=b=c", &Settings::default()).is_err());
    assert!(parse_events_bag("a=%ff", &Settings::default()).is_err());
}

proptest! {
    #[test]
    fn nothing_from_the_network_panics(text in "[a-zA-Z0-9/?=&$%.#+\\-]{0,80}") {
        let identity = Identity::device("d");
        let _ = parse_username(&text, ApiVersion::Optional);
        let _ = classify_filter(&identity, &text);
        let _ = classify_topic(&identity, &text);
        let _ = parse_events_bag(&text, &Settings::default());
    }
}
