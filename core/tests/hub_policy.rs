//! Topics that come in, and what the policy lets out.
#![allow(clippy::unwrap_used)]

use iothub_mqtt::ErrorKind;
use iothub_mqtt::hub::policy::MAX_METHOD_RESPONSE;
use iothub_mqtt::hub::topic::{self, Incoming, TwinResponse, parse_incoming};
use iothub_mqtt::hub::{Identity, MAX_MESSAGE, Policy};
use proptest::prelude::*;

fn device() -> Identity {
    Identity::new("h.azure-devices.net", "d1", None).unwrap()
}

fn module() -> Identity {
    Identity::new("h.azure-devices.net", "d1", Some("m1")).unwrap()
}

#[test]
fn publishes_that_the_hub_takes() {
    for (id, topics) in [
        (
            device(),
            &[
                "devices/d1/messages/events/",
                "devices/d1/messages/events",
                "devices/d1/messages/events/a=1&%24.ct=application%2Fjson",
                "devices/d1/messages/events/$.ct=application/json&$.ce=utf-8",
                "$iothub/twin/GET/?$rid=1",
                "$iothub/twin/PATCH/properties/reported/?$rid=a-b",
                "$iothub/twin/PATCH/properties/reported/?$version=3&$rid=1",
                "$iothub/methods/res/200/?$rid=1",
                "$iothub/methods/res/0/?$rid=b",
            ][..],
        ),
        (
            module(),
            &[
                "devices/d1/modules/m1/messages/events/",
                "devices/d1/modules/m1/messages/events/%24.on=out",
                "$iothub/twin/GET/?$rid=1",
            ],
        ),
    ] {
        let policy = Policy::new(id);
        for topic in topics {
            for qos in [0, 1] {
                policy.check_publish(topic, qos, 100).unwrap();
            }
        }
    }
    let policy = Policy::new(device());
    for topic in [
        topic::telemetry_prefix(&device()),
        topic::twin_get("7"),
        topic::twin_patch("7"),
        topic::method_response(404, "a%2Fb"),
    ] {
        policy.check_publish(&topic, 1, 0).unwrap();
    }
}

#[test]
fn publishes_that_the_hub_closes_on() {
    let policy = Policy::new(device());
    for (topic, rule) in [
        ("", "any topic but devices/d1/messages/events/"),
        ("home/light", "any topic but devices/d1/messages/events/"),
        ("devices/d1/messages/eventsx", "any topic but"),
        ("devices/d1/messages/devicebound/", "any topic but"),
        ("devices/d2/messages/events/", "device 'd2', but this connection is of device 'd1'"),
        ("devices/D1/messages/events/", "device 'D1', but this connection is of device 'd1'"),
        (
            "devices/d1/modules/m1/messages/events/",
            "module 'm1' of device 'd1', but this connection is of device 'd1'",
        ),
        ("$iothub/twin/GET/", "needs a request id"),
        ("$iothub/twin/GET/?$rid=", "needs a request id"),
        ("$iothub/twin/GET/x?$rid=1", "needs a request id"),
        ("$iothub/twin/PATCH/properties/reported/", "needs a request id"),
        ("$iothub/twin/PATCH/properties/desired/?$rid=1", "any topic but"),
        ("$iothub/methods/res/ok/?$rid=1", "the status a number"),
        ("$iothub/methods/res/70000/?$rid=1", "the status a number"),
        ("$iothub/methods/res//?$rid=1", "the status a number"),
        ("$iothub/methods/res/200/", "the status a number"),
        ("$iothub/methods/POST/x/?$rid=1", "any topic but"),
        ("devices/d1/messages/events/a=%FF", "must decode to UTF-8"),
    ] {
        let error = policy.check_publish(topic, 1, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.detail().starts_with("topic: "), "{error}");
        assert!(error.detail().contains(rule), "{topic}: {error}");
    }
    let error = Policy::new(module()).check_publish("devices/d1/messages/events/", 1, 0).unwrap_err();
    assert!(error.detail().contains("of module 'm1' of device 'd1'"), "{error}");
}

#[test]
fn quality_of_service() {
    let policy = Policy::new(device());
    let topic = topic::telemetry_prefix(&device());
    let error = policy.check_publish(&topic, 2, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.detail().contains("closes the connection"), "{error}");
    assert!(policy.check_publish(&topic, 3, 0).is_err());
}

#[test]
fn sizes() {
    let policy = Policy::new(device());
    let too_large = |topic: &str, len| {
        let error = policy.check_publish(topic, 1, len).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    };
    let plain = topic::telemetry_prefix(&device());
    policy.check_publish(&plain, 1, MAX_MESSAGE).unwrap();
    too_large(&plain, MAX_MESSAGE + 1);
    too_large(&plain, 257 * 1024);
    too_large(&plain, usize::MAX);

    // The value of a system property counts, name and value of another, both decoded.
    let bag = format!("{plain}%24.mid=abc&n=%20&null");
    policy.check_publish(&bag, 1, MAX_MESSAGE - 3 - 2 - 4).unwrap();
    too_large(&bag, MAX_MESSAGE - 3 - 2 - 4 + 1);

    too_large(&format!("{plain}{}", "a".repeat(65_536)), 0);
    too_large(&topic::twin_patch("1"), MAX_MESSAGE + 1);
    let answer = topic::method_response(200, "1");
    policy.check_publish(&answer, 1, MAX_METHOD_RESPONSE).unwrap();
    too_large(&answer, MAX_METHOD_RESPONSE + 1);
}

#[test]
fn filters() {
    let common = [topic::TWIN_RESPONSES, topic::TWIN_DESIRED, topic::METHODS];
    for (id, own) in [
        (device(), &["devices/d1/messages/devicebound/#"][..]),
        (module(), &["devices/d1/modules/m1/#", "devices/d1/modules/m1/inputs/#"]),
    ] {
        let policy = Policy::new(id);
        for filter in own.iter().chain(&common) {
            policy.check_filter(filter).unwrap();
        }
        policy.check_filter("$iothub/methods/POST/reboot/#").unwrap();
    }
    let policy = Policy::new(device());
    for (filter, rule) in [
        ("#", "closes the connection"),
        ("foo/#", "closes the connection"),
        ("$iothub/#", "closes the connection"),
        ("$iothub/twin/res/+", "closes the connection"),
        ("$iothub/methods/POST/+/#", "closes the connection"),
        ("$iothub/methods/POST//#", "closes the connection"),
        ("devices/d1/messages/devicebound/+", "closes the connection"),
        ("devices/d1/messages/events/", "closes the connection"),
        ("devices/d2/messages/devicebound/#", "device 'd2', but this connection is of device 'd1'"),
        ("devices/d1/modules/m1/#", "module 'm1' of device 'd1'"),
    ] {
        let error = policy.check_filter(filter).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.detail().contains(rule), "{filter}: {error}");
    }
    let policy = Policy::new(module());
    assert!(policy.check_filter("devices/d1/messages/devicebound/#").is_err());
    assert!(policy.check_filter("devices/d1/modules/m1/outputs/#").is_err());
}

#[test]
fn hub_hosts() {
    for host in [
        "h.azure-devices.net",
        "H.Azure-Devices.NET",
        "h.azure-devices.net.",
        "h.azure-devices.cn",
        "h.azure-devices.us",
    ] {
        assert!(Policy::is_hub_host(host), "{host}");
    }
    for host in [
        "",
        ".azure-devices.net",
        "azure-devices.net",
        "evil-azure-devices.net",
        "h.azure-devices.net.example",
        "global.azure-devices-provisioning.net",
        "localhost",
    ] {
        assert!(!Policy::is_hub_host(host), "{host}");
    }
}

#[test]
fn incoming() {
    let twin = |status, rid, version| {
        Incoming::TwinResponse(TwinResponse { status, rid, version, retry_after: None })
    };
    for (topic, expected) in [
        ("devices/d1/messages/devicebound/", Incoming::C2d { bag: "" }),
        ("devices/d1/messages/devicebound", Incoming::C2d { bag: "" }),
        ("devices/d1/messages/devicebound/a=1/", Incoming::C2d { bag: "a=1/" }),
        ("devices/d1/messages/deviceboundx", Incoming::Unknown),
        ("devices/d12/messages/devicebound/", Incoming::Unknown),
        ("devices/d1/modules/m1/inputs/i/", Incoming::Unknown),
        ("$iothub/twin/res/204/?$rid=9&$version=6", twin(204, "9", Some(6))),
        ("$iothub/twin/res/204/?$version=6&$rid=9&x", twin(204, "9", Some(6))),
        ("$iothub/twin/res/429?$rid=9", twin(429, "9", None)),
        ("$iothub/twin/res/200/?$rid=9&$version=x", twin(200, "9", None)),
        ("$iothub/twin/res/200/?$rid=", Incoming::Unknown),
        ("$iothub/twin/res/+200/?$rid=1", Incoming::Unknown),
        ("$iothub/twin/res/70000/?$rid=1", Incoming::Unknown),
        ("$iothub/twin/PATCH/properties/desired/?$version=8", Incoming::Desired { version: 8 }),
        ("$iothub/twin/PATCH/properties/desired/x/?$version=8", Incoming::Unknown),
        ("$iothub/twin/PATCH/properties/desired/", Incoming::Unknown),
        (
            "$iothub/methods/POST/a*b%20c/?$rid=x%2Fy+z",
            Incoming::Method { name: "a*b c".into(), rid: "x%2Fy+z" },
        ),
        ("$iothub/methods/POST//?$rid=1", Incoming::Unknown),
        ("$iothub/methods/POST/%FF/?$rid=1", Incoming::Unknown),
        ("$iothub/methods/POST/a/", Incoming::Unknown),
        ("$iothub/credentials/res/200/?$rid=1", Incoming::Unknown),
        ("", Incoming::Unknown),
    ] {
        assert_eq!(parse_incoming(topic, &device()), expected, "{topic}");
    }
    for (topic, expected) in [
        ("devices/d1/modules/m1/inputs/i/a=1", Incoming::Input { name: "i".into(), bag: "a=1" }),
        ("devices/d1/modules/m1/inputs/i", Incoming::Input { name: "i".into(), bag: "" }),
        ("devices/d1/modules/m1/inputs//a=1", Incoming::Unknown),
        ("devices/d1/modules/m2/inputs/i/", Incoming::Unknown),
        ("devices/d1/messages/devicebound/", Incoming::Unknown),
    ] {
        assert_eq!(parse_incoming(topic, &module()), expected, "{topic}");
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_in_panics(
        head in prop::sample::select(vec![
            "", "$iothub/", "$iothub/twin/res/", "$iothub/twin/PATCH/properties/desired",
            "$iothub/methods/POST/", "$iothub/methods/res/", "devices/d1/",
            "devices/d1/messages/devicebound", "devices/d1/messages/events/",
            "devices/d1/modules/m1/inputs/",
        ]),
        tail in any::<String>(),
    ) {
        let topic = format!("{head}{tail}");
        for id in [device(), module()] {
            let _ = parse_incoming(&topic, &id);
            let policy = Policy::new(id);
            let _ = policy.check_filter(&topic);
            let _ = policy.check_publish(&topic, 1, 0);
        }
    }

    #[test]
    fn answers_find_their_request(rid in "[A-Za-z0-9._~-]{1,40}", status in any::<u16>()) {
        let topic = format!("$iothub/twin/res/{status}/?$rid={rid}");
        prop_assert_eq!(
            parse_incoming(&topic, &device()),
            Incoming::TwinResponse(TwinResponse { status, rid: &rid, version: None, retry_after: None })
        );
        let policy = Policy::new(device());
        prop_assert!(policy.check_publish(&topic::method_response(status, &rid), 1, 0).is_ok());
        prop_assert!(policy.check_publish(&topic::twin_get(&rid), 1, 0).is_ok());
    }
}
