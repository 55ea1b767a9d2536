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
        // The first of two wins; what is not known is passed over; an escape may be in a value.
        ("h/d/?x=1&api-version=2021%2D04-12&api-version=soon&auth-chain=a%3Bb", Some("d")),
        ("h/d/?api-version=soon&api-version=2021-04-12", None),
        ("h/d/?API-VERSION=2021-04-12", None),
        ("h/d/api-version=2016-11-14&DeviceClientType=x", Some("d")),
        ("h/d/m/api-version=2016-11-14", Some("d/m")),
        (
            "h/d/m/api-version=2017-06-30/DeviceClientType=Microsoft.Azure.Devices.Client/1.5.1-preview-003",
            None,
        ),
        ("h/d/api-version=2017-06-30/DeviceClientType=Microsoft.Azure.Devices.Client/1.5.2", None),
        ("h/d/", None),
        ("h/d/?", None),
        ("h/d/m", None),
        ("d/?api-version=2021-04-12", None),
        ("h//m/?api-version=2021-04-12", None),
        ("h/d/?api-version=2021-04-12-PREVIEW", None),
        ("h/d/?api-version=21-04-12", None),
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
fn an_api_version_may_be_optional() {
    for (text, expected) in [
        ("h/d", Some("d")),
        ("h/d/", Some("d")),
        ("h/d/?", Some("d")),
        ("h/d/m", Some("d/m")),
        ("h/d/m/?DeviceClientType=x", Some("d/m")),
        ("h/d/?api-version=2021-04-12", Some("d")),
        ("h/d/?api-version=soon", None),
        ("h", None),
        ("h/", None),
    ] {
        let identity = parse_username(text, ApiVersion::Optional).ok().map(|u| u.identity.to_string());
        assert_eq!(identity.as_deref(), expected, "{text}");
    }
}

#[test]
fn the_device_client_type_is_decoded_and_plus_is_a_plus() {
    let text = "h/d/?api-version=2021-04-12&DeviceClientType=a%2Fb+c%20d&model-id=dtmi:x;1";
    let username = parse_username(text, ApiVersion::Required).unwrap();
    assert_eq!(username.client_type.as_deref(), Some("a/b+c d"));
    assert_eq!(username.model_id.as_deref(), Some("dtmi:x;1"), "the SDK for Node does not encode it");
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
        (&device, "devices/d/messages/devicebound/", None),
        (&device, "devices/d/messages/devicebound", None),
        (&device, "devices/d/messages/devicebound/?", None),
        (&device, "devices/d/messages/devicebound/a/#", None),
        (&device, "devices/d/modules/m/#", None),
        (&device, "$iothub/twin/res/200/#", None),
        (&device, "$iothub/twin/#", None),
        (&device, "$iothub/twin/PATCH/properties/desired/+", None),
        (&device, "$iothub/methods/POST/", None),
        (&device, "$iothub/methods/POST/a/b/#", None),
        (&device, "$iothub/methods/POST//#", None),
        (&device, "$iothub/credentials/res/#", None),
        (&device, "$iothub/credential/#", None),
        (&device, "$dps/registrations/res/#", None),
        (&device, "devices/D/messages/devicebound/#", None),
        (&device, "devices/dd/messages/devicebound/#", None),
        (&device, "devices/+/messages/devicebound/#", Some(Subject::C2d)),
        (&device, "devices/+/messages/events/#", None),
        (&device, "devices/+/#", None),
        (&module, "devices/+/messages/devicebound/#", None),
        (&module, "devices/+/modules/+/inputs/#", None),
        (&device, "devices/d/messages/events/#", None),
        (&device, "#", None),
        (&module, "devices/d/modules/m/inputs/#", Some(Subject::Inputs)),
        (&module, "devices/d/modules/m/#", Some(Subject::Inputs)),
        (&module, "devices/d/modules/other/#", None),
        (&module, "devices/d/messages/devicebound/#", None),
        (&module, "devices/d/modules/m/messages/devicebound/#", Some(Subject::C2d)),
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
        (&device, "$iothub/twin/GET/?a=b&$rid=7&$version=9", Some(Request::TwinGet { rid: "7" })),
        (&device, "$iothub/twin/GET/?$rid=a=b/c?d%20e+f", Some(Request::TwinGet { rid: "a=b/c?d%20e+f" })),
        (&device, "$iothub/twin/get/?$rid=7", None),
        (&device, "$iothub/twin/GET/x/?$rid=7", None),
        (&device, "$iothub/twin/res/200/?$rid=7", None),
        (&device, "$iothub/methods/POST/m/?$rid=7", None),
        (
            &device,
            "$iothub/methods/res/65535/?$rid=1",
            Some(Request::MethodAnswer { status: 65535, rid: "1" }),
        ),
        (&device, "$iothub/methods/res/0?$rid=1", Some(Request::MethodAnswer { status: 0, rid: "1" })),
        (&device, "$iothub/methods/res/65536/?$rid=1", None),
        (&device, "$iothub/methods/res/-1/?$rid=1", None),
        (&device, "$iothub/methods/res/200/?$rid=", None),
        (&device, "$iothub/methods/res//?$rid=1", None),
        (&device, "$iothub/credentials/POST/issueCertificate/?$rid=1", None),
        (&device, "devices/d/messages/devicebound/", None),
        (&device, "", None),
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
fn a_bag_ends_at_a_plain_slash_and_a_bare_system_property_is_absent() {
    for (bag, system, application) in
        [("a=1/b=2", 0, 1), ("a=1%2Fb=2", 0, 0), ("%24.cid&%24.uid=&a", 1, 1), ("/a=1", 0, 0)]
    {
        let properties = parse_events_bag(bag, &Settings::default());
        let counts = properties.map(|p| (p.system.len(), p.application.len())).unwrap_or_default();
        assert_eq!(counts, (system, application), "{bag}");
    }
}

#[test]
fn an_empty_value_is_a_text_or_null() {
    let read = |empty_value| {
        let settings = Settings { empty_value, ..Settings::default() };
        parse_events_bag("a=&b", &settings).unwrap().application
    };
    let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    assert_eq!(read(EmptyValue::Kept), [pair("a", Some("")), pair("b", None)]);
    assert_eq!(read(EmptyValue::Null), [pair("a", None), pair("b", None)]);
}

#[test]
fn a_message_id_has_128_documented_characters() {
    let read = |id: &str, message_id| {
        let settings = Settings { message_id, ..Settings::default() };
        parse_events_bag(&format!("$.mid={}", percent::encode(id)), &settings).is_ok()
    };
    for (id, good) in [
        ("aZ09-:.+%_#*?!(),=@;$'", true),
        (&"x".repeat(128), true),
        (&"x".repeat(129), false),
        ("a b", false),
        ("a/b", false),
        ("ä", false),
    ] {
        assert_eq!(read(id, WrongMessageId::Refused), good, "{id}");
        assert!(read(id, WrongMessageId::Accepted), "{id}");
    }
}

#[test]
fn every_sdks_bag_is_read() {
    for (_, expected) in vectors("d2c.property_bag") {
        let text = expected.as_str().unwrap();
        let bag = text.rsplit('/').next().unwrap();
        let properties = parse_events_bag(bag, &Settings::default()).unwrap();
        assert_eq!(properties.system.len() + properties.application.len(), bag.split('&').count(), "{bag}");
        assert!(properties.system.iter().all(|(name, _)| !name.starts_with('$')), "{bag}");
    }
}

#[test]
fn the_flags_of_a_publish_become_properties() {
    for (changes, expected) in [
        (&[][..], &["mqtt-retain=true", "mqtt-dup=true"][..]),
        (&["retain-property=x-opt-retain"], &["x-opt-retain=true", "mqtt-dup=true"]),
        (&["qos-property=on"], &["mqtt-retain=true", "mqtt-dup=true", "mqtt-qos=1"]),
    ] {
        let mut settings = Settings::default();
        changes.iter().for_each(|change| settings.set_pair(change).unwrap());
        let mut properties = Properties::default();
        properties.flag(true, true, 1, &settings);
        let pairs = properties.application.iter().map(|(n, v)| format!("{n}={}", v.as_deref().unwrap()));
        assert_eq!(pairs.collect::<Vec<_>>(), expected);
    }
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
