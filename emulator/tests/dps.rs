//! Devices register with the provisioning service and get their place at the hub.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use iothub_emulator::{CloudMessage, EnrollmentOptions, GroupOptions, Hub, Options, Pem, Reprovision};
use rumqttc::mqttbytes::v4::{Connect, Packet};
use serde_json::{Map, Value, json};
use support::certificates::Authority;
use support::provisioning::*;
use support::*;

#[test]
fn a_device_registers_with_its_key_and_connects_to_the_hub_with_it() {
    let (hub, events) = start(Options::default().enroll("Gauge-1"));
    let key = hub.enrollment_key("gauge-1").unwrap().to_owned();
    for over in [Over::Tls, Over::WebSocket] {
        let connect = dps_connect(&hub, "Gauge-1", &dps_token(&hub, "Gauge-1", &key, 3600));
        let mut client = enter(&hub, over, Tls::default(), connect);
        let state = provision(&mut client, r#"{"registrationId":"Gauge-1"}"#);
        assert_eq!((&state["assignedHub"], &state["deviceId"]), (&json!("localhost"), &json!("Gauge-1")));
        assert_eq!(state["symmetricKey"], json!({}));
        assert!(state["createdDateTimeUtc"].as_str().unwrap().len() == "2020-04-10T03:11:13.0276997Z".len());
        let provisioned = events.next("provisioned");
        assert_eq!(
            (&provisioned["device"], &provisioned["registration"]),
            (&json!("Gauge-1"), &json!("Gauge-1"))
        );
        client.disconnect();
    }
    assert_eq!(
        hub.connection_string("Gauge-1").unwrap().split(";SharedAccessKey=").nth(1),
        Some(key.as_str())
    );
    Client::connect(&hub, "Gauge-1").disconnect();
    assert_eq!(events.next("connected")["device"], "Gauge-1");
}

#[test]
fn a_device_of_a_group_registers_with_its_derived_key() {
    let (hub, events) = start(Options::default().enrollment_group(GroupOptions::new("makers")));
    let key = hub.group_key("makers", Some("dev-1")).unwrap();
    let state = provision(&mut enter_with(&hub, "dev-1", &key), "");
    assert_eq!(state["symmetricKey"], json!({"enrollmentGroupId": "makers"}));
    assert_eq!(events.next("provisioned")["group"], "makers");
    assert!(hub.connection_string("dev-1").unwrap().ends_with(&key));
    Client::connect(&hub, "dev-1");
    // The same id in another case is the same device.
    let key = hub.group_key("makers", Some("DEV-1")).unwrap();
    assert_eq!(provision(&mut enter_with(&hub, "DEV-1", &key), "")["deviceId"], "dev-1");
}

#[test]
fn certificates_register_by_thumbprint_and_by_authority() {
    let root = Authority::root("root");
    let (own, grouped, stray) = (root.leaf("own"), root.leaf("dev-1"), Authority::root("x").leaf("dev-1"));
    let thumbprint = ring::digest::digest(&ring::digest::SHA256, &own.der);
    let thumbprint: String = thumbprint.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let options = Options::default()
        .enrollment(EnrollmentOptions { thumbprint: Some(thumbprint), ..EnrollmentOptions::new("own") })
        .enrollment_group(GroupOptions { roots: vec![Pem::Text(root.pem())], ..GroupOptions::new("makers") });
    let (hub, events) = start(options);
    assert!(hub.enrollment_key("own").is_none() && hub.group_key("makers", None).is_none());
    for (id, leaf, x509) in
        [("own", &own, json!({})), ("dev-1", &grouped, json!({"enrollmentGroupId": "makers"}))]
    {
        for over in [Over::Tls, Over::WebSocket] {
            let mut client = enter(&hub, over, with_certificate(leaf), dps_connect(&hub, id, ""));
            assert_eq!(provision(&mut client, "")["x509"], x509);
        }
        let mut connect = Connect::new(id);
        connect.set_login(format!("localhost/{id}/{API}"), "");
        assert_eq!(return_code(&hub, with_certificate(leaf), connect), 0, "{id} at the hub");
    }
    for (id, leaf, reason) in [("own", &grouped, "thumbprints"), ("dev-1", &stray, "no trusted root")] {
        let mut client = enter(&hub, Over::Tls, with_certificate(leaf), dps_connect(&hub, id, ""));
        let (topic, body) = register(&mut client, "");
        assert_eq!(topic, "$dps/registrations/res/401/?$rid=1");
        assert_eq!((&body["errorCode"], &body["message"]), (&json!(401_002), &json!("Invalid certificate.")));
        assert!(events.next("refused")["reason"].as_str().unwrap().contains(reason));
    }
}

#[test]
fn failed_and_disabled_registrations_are_told_with_200() {
    let options = Options::default()
        .enrollment(EnrollmentOptions { allocation_error: Some(400_207), ..EnrollmentOptions::new("f") })
        .enrollment(EnrollmentOptions { disabled: true, ..EnrollmentOptions::new("d") });
    let (hub, events) = start(options);
    let failed = provision(&mut enter_enrolled(&hub, "f"), "");
    assert_eq!((&failed["status"], &failed["errorCode"]), (&json!("failed"), &json!(400_207)));
    assert!(events.next("refused")["reason"].as_str().unwrap().contains("400207"));
    let disabled = provision(&mut enter_enrolled(&hub, "d"), "");
    assert_eq!(disabled["status"], "disabled");
    assert!(events.next("refused")["reason"].as_str().unwrap().contains("disabled"));
    assert!(hub.identities().is_empty());
}

#[test]
fn the_payload_of_an_answer_is_the_enrollments_and_never_the_requests() {
    let given =
        EnrollmentOptions { payload: Some(json!({"from": "enrollment"})), ..EnrollmentOptions::new("a") };
    let (hub, _events) = start(Options::default().enrollment(given).enroll("b"));
    let body = r#"{"payload":{"from":"device"}}"#;
    let payload = |id: &str, body: &str| {
        let state = provision(&mut enter_enrolled(&hub, id), body);
        state.get("payload").cloned()
    };
    assert_eq!(payload("a", body), Some(json!({"from": "enrollment"})));
    assert_eq!(payload("a", ""), Some(json!({"from": "enrollment"})));
    // The SDK for Java sends text, and fails on an answer that has any payload but an object.
    for body in [body, r#"{"payload":null}"#, r#"{"payload":"{\"from\":\"device\"}"}"#] {
        assert_eq!(payload("b", body), None, "{body}");
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn with_twin(id: &str, reprovision: Reprovision) -> EnrollmentOptions {
    EnrollmentOptions {
        tags: object(json!({"site": 7})),
        desired: object(json!({"interval": 5})),
        reprovision,
        device_id: Some(format!("{id}-device")),
        ..EnrollmentOptions::new(id)
    }
}

#[test]
fn a_device_starts_as_its_enrollment_has_it() {
    let given = EnrollmentOptions { edge: true, ..with_twin("r", Reprovision::Migrate) };
    let (hub, _events) = start(Options::default().enrollment(given));
    assert_eq!(provision(&mut enter_enrolled(&hub, "r"), "")["deviceId"], "r-device");
    let twin = hub.twin("r-device").unwrap();
    assert_eq!(twin["capabilities"], json!({"iotEdge": true}));
    assert_eq!(twin["tags"], json!({"site": 7}));
    assert_eq!(twin["properties"]["desired"]["interval"], 5);
    assert_eq!(twin["properties"]["desired"]["$version"], 1);
}

#[test]
fn a_second_registration_keeps_resets_or_ignores_the_device() {
    for (reprovision, kept, substatus) in [
        (Reprovision::Migrate, true, "reprovisionedToInitialAssignment"),
        (Reprovision::Reset, false, "deviceDataReset"),
        (Reprovision::Never, true, "initialAssignment"),
    ] {
        let (hub, _events) = start(Options::default().enrollment(with_twin("r", reprovision)));
        let first = provision(&mut enter_enrolled(&hub, "r"), "");
        assert_eq!(first["substatus"], "initialAssignment");
        hub.update_desired("r-device", &json!({"interval": 60})).unwrap();
        hub.send_c2d("r-device", CloudMessage::new("waiting")).unwrap();
        let mut device = Client::connect(&hub, "r-device");
        let second = provision(&mut enter_enrolled(&hub, "r"), "");
        assert_eq!(second["substatus"], substatus);
        for same in ["assignedHub", "deviceId", "createdDateTimeUtc"] {
            assert_eq!(first[same], second[same], "{same}");
        }
        assert_eq!(first["etag"] == second["etag"], reprovision == Reprovision::Never);
        let twin = hub.twin("r-device").unwrap();
        assert_eq!(twin["properties"]["desired"]["interval"], if kept { 60 } else { 5 }, "{reprovision:?}");
        assert_eq!(twin["cloudToDeviceMessageCount"], u8::from(kept));
        if kept {
            device.send(&Packet::PingReq);
            assert_eq!(device.receive(), Some(Packet::PingResp));
        } else {
            device.expect_close();
        }
    }
}

#[test]
fn older_api_versions_know_no_reprovisioning() {
    let (hub, _events) = start(Options::default().device("r").enroll("r"));
    let token = dps_token(&hub, "r", hub.enrollment_key("r").unwrap(), 3600);
    for (version, substatus) in
        [("2019-03-31", "initialAssignment"), ("2019-04-15", "reprovisionedToInitialAssignment")]
    {
        let mut connect = dps_connect(&hub, "r", "");
        connect.set_login(format!("{}/registrations/r/api-version={version}", hub.id_scope()), &token);
        let mut client = enter(&hub, Over::Tls, Tls::default(), connect);
        assert_eq!(provision(&mut client, "")["substatus"], substatus);
    }
    // The device was there with a key of its own; now it has the enrollment's.
    assert!(hub.connection_string("r").unwrap().ends_with(hub.enrollment_key("r").unwrap()));
}

#[test]
fn the_id_scope_stays_with_its_directory() {
    let directory = std::env::temp_dir().join(format!("iothub-dps-{}", std::process::id()));
    let options = || Options { certs: Some(directory.clone()), ..Options::default().enroll("r") };
    let told = |hub: &Hub| (hub.id_scope().to_owned(), hub.enrollment_key("r").unwrap().to_owned());
    let first = told(&Hub::start(options()).unwrap());
    let again = told(&Hub::start(options()).unwrap());
    let elsewhere = told(&Hub::start(Options::default().enroll("r")).unwrap());
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(first, again);
    assert!(first.0 != elsewhere.0 && first.1 != elsewhere.1);
    assert!(first.0.len() == 11 && first.0.starts_with("0ne"), "{}", first.0);
    let mut named = Options::default();
    named.dps.id_scope = Some("0neABCDEF01".into());
    assert_eq!(Hub::start(named).unwrap().id_scope(), "0neABCDEF01");
}
