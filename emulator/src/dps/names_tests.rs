#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn parse(username: &str) -> Option<Result<Username, &'static str>> {
    parse_username(username, |name| name == "hub.example")
}

#[test]
fn usernames_of_every_sdk_are_read() {
    for (username, scope, id, version) in [
        (
            "0neFEEDC0DE/registrations/myRegistrationId/api-version=2019-03-31",
            "0neFEEDC0DE",
            "myRegistrationId",
            "2019-03-31",
        ),
        ("s/registrations/r/api-version=2021-06-01&ClientVersion=1.15.0", "s", "r", "2021-06-01"),
        (
            "s/registrations/r/ClientVersion=a/b c&api-version=2025-07-01-preview",
            "s",
            "r",
            "2025-07-01-preview",
        ),
        ("s/registrations/r/api-version=2019-03-31&ClientVersion=rust%2F0.1", "s", "r", "2019-03-31"),
        ("s/registrations/registrations/api-version=2019-03-31", "s", "registrations", "2019-03-31"),
    ] {
        let read = parse(username).unwrap().unwrap();
        assert_eq!(
            (read.id_scope.as_str(), read.registration.as_str(), read.api_version.as_str()),
            (scope, id, version)
        );
    }
}

#[test]
fn usernames_of_the_hub_are_left_to_it() {
    for username in [
        "hub.example/d/?api-version=2021-04-12",
        "hub.example/registrations/?api-version=2021-04-12",
        "hub.example/registrations/m/?api-version=2021-04-12",
        "hub.example/registrations/m/api-version=2016-11-14",
        "other/d/registrations/?api-version=2021-04-12",
        "s/registrations",
        "",
    ] {
        assert!(parse(username).is_none(), "{username}");
    }
}

#[test]
fn what_is_wrong_with_a_username_is_said() {
    for (username, part) in [
        ("s/registrations/r", "must be"),
        ("s/registrations//api-version=2019-03-31", "1 to 128"),
        ("s/registrations/r/", "no api-version"),
        ("s/registrations/r/?api-version=2019-03-31", "no '?'"),
        ("s/registrations/r/api-version=", "a date"),
        ("s/registrations/r/api-version=soon", "a date"),
        ("s/registrations/r_/api-version=2019-03-31", "ends in"),
        ("s/registrations/a b/api-version=2019-03-31", "letters, digits"),
    ] {
        assert!(parse(username).unwrap().unwrap_err().contains(part), "{username}");
    }
}

#[test]
fn registration_ids_follow_the_documented_rule() {
    for id in ["a", "A-b_c.d:e", "0", "-", "trailing-", &"x".repeat(128)] {
        assert!(RegistrationId::new(id).is_ok(), "{id}");
    }
    for id in ["", "a.", "a_", "a:", "a+b", "a/b", "a b", "é", &"x".repeat(129)] {
        assert!(RegistrationId::new(id).is_err(), "{id}");
    }
    let id = RegistrationId::new("MyDevice").unwrap();
    assert!(id.is("mydevice") && !id.is("mydevice2"));
    assert_eq!(id.key(), "mydevice");
}

#[test]
fn topics_are_read_in_any_order() {
    let operation = "4.79f33f69d8eb3870.da2d9251-3097-43e9-b81c-782718485ce7";
    let path = "$dps/registrations/GET/iotdps-get-operationstatus/";
    for topic in [
        format!("{path}?$rid=3226c2f7-3d30-425c-b83b-0c34335f8220&operationId={operation}"),
        format!("{path}?operationId={operation}&$rid=3226c2f7-3d30-425c-b83b-0c34335f8220"),
    ] {
        let rid = "3226c2f7-3d30-425c-b83b-0c34335f8220";
        assert_eq!(parse_topic(&topic), Ok(Request::Status { rid, operation }));
    }
    for topic in [
        "$dps/registrations/PUT/iotdps-register/?$rid=1",
        "$dps/registrations/PUT/iotdps-register?x=y&$rid=1",
    ] {
        assert_eq!(parse_topic(topic), Ok(Request::Register { rid: "1" }));
    }
}

#[test]
fn other_topics_are_refused() {
    for topic in [
        "$dps/registrations/unknown",
        "$dps/registrations/PUT/iotdps-register/",
        "$dps/registrations/PUT/iotdps-register/?$rid=",
        "$dps/registrations/PUT/iotdps-register/?rid=1",
        "$dps/registrations/GET/iotdps-register/?$rid=1",
        "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
        "$dps/registrations/res/200/?$rid=1",
        "$iothub/twin/GET/?$rid=1",
        "devices/d/messages/events/",
        "",
    ] {
        assert!(parse_topic(topic).is_err(), "{topic}");
    }
}

proptest! {
    #[test]
    fn no_username_and_no_topic_breaks_the_parsers(text in ".*") {
        let _ = parse(&text);
        let _ = parse_topic(&text);
        let _ = parse(&format!("s/registrations/{text}"));
        let _ = parse_topic(&format!("$dps/registrations/{text}"));
    }

    #[test]
    fn what_is_put_into_a_username_comes_out(
        scope in "[0-9A-Za-z]{1,16}",
        id in "[-._:a-zA-Z0-9]{0,127}[-a-zA-Z0-9]",
        client in "[^&]{0,20}",
    ) {
        let text = format!("{scope}/registrations/{id}/api-version=2019-03-31&ClientVersion={client}");
        let read = parse(&text).unwrap().unwrap();
        prop_assert_eq!((read.id_scope, read.registration.0), (scope, id));
    }

    #[test]
    fn what_is_put_into_a_topic_comes_out(rid in "[^&]{1,40}", operation in "[^&]{1,40}") {
        let register = format!("$dps/registrations/PUT/iotdps-register/?$rid={rid}");
        prop_assert_eq!(parse_topic(&register), Ok(Request::Register { rid: &rid }));
        let status =
            format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={operation}");
        prop_assert_eq!(parse_topic(&status), Ok(Request::Status { rid: &rid, operation: &operation }));
    }
}
