//! What the provisioning service takes and what it refuses, as a bare MQTT client sees it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use iothub_emulator::{EnrollmentOptions, Fault, Options};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, LastWill, Packet};
use serde_json::{Value, json};
use support::provisioning::*;
use support::*;

#[test]
fn a_wrong_key_is_told_in_the_answer() {
    let (hub, events) = start(Options::default().enroll("a").enroll("b"));
    let other = hub.enrollment_key("b").unwrap().to_owned();
    for id in ["a", "unknown"] {
        let mut client = enter_with(&hub, id, &other);
        let (topic, body) = register(&mut client, &format!(r#"{{"registrationId":"{id}"}}"#));
        assert_eq!(topic, "$dps/registrations/res/401/?$rid=1");
        assert_eq!(body["errorCode"], 401_002);
        assert!(["trackingId", "message", "timestampUtc"].iter().all(|name| body[name].is_string()));
        let refused = events.next("refused");
        assert_eq!((&refused["registration"], &refused["return_code"]), (&json!(id), &Value::Null));
        // The connection stays.
        client.send(&Packet::PingReq);
        assert_eq!(client.receive(), Some(Packet::PingResp));
        assert!(hub.connection_string(id).is_none());
    }
}

#[test]
fn what_a_connect_says_wrongly_is_refused_with_5() {
    let (hub, events) = start(Options::default().enroll("r"));
    let key = hub.enrollment_key("r").unwrap().to_owned();
    let good = dps_token(&hub, "r", &key, 3600);
    let scope = hub.id_scope().to_owned();
    let login = |username: &str, password: &str| {
        let mut connect = Connect::new("r");
        connect.set_login(username, password);
        connect
    };
    let name = format!("{scope}/registrations/r/api-version=2019-03-31");
    let mut other_client = login(&name, &good);
    other_client.client_id = "q".into();
    let cases = [
        (login("0ne00/registrations/r/api-version=2019-03-31", &good), "id scope"),
        (login(&format!("{scope}/registrations/r_/api-version=2019-03-31"), &good), "registration id"),
        (login(&format!("{scope}/registrations/r/ClientVersion=1"), &good), "api-version"),
        (login(&format!("{scope}/registrations/r/?api-version=2019-03-31"), &good), "no '?'"),
        (other_client, "ClientId"),
        (login(&name, ""), "neither"),
        (login(&name, "secret"), "SharedAccessSignature"),
        (login(&name, &dps_token(&hub, "q", &key, 3600)), "sr"),
        (login(&name, &dps_token(&hub, "r", &key, -301)), "expired"),
    ];
    for (connect, reason) in cases {
        assert_eq!(return_code(&hub, Tls::default(), connect), 5, "{reason}");
        let refused = events.next("refused");
        assert!(refused["reason"].as_str().unwrap().contains(reason), "{refused}");
        assert_eq!(refused["return_code"], 5);
    }
    let expired_within_the_skew = login(&name, &dps_token(&hub, "r", &key, -200));
    assert_eq!(return_code(&hub, Tls::default(), expired_within_the_skew), 0);
    let mut client = Client::open(&hub, Tls::default());
    let mut connect = login(&name, &good);
    connect.last_will = Some(LastWill::new("devices/r/messages/events/", "x", QoS::AtMostOnce, false));
    client.send(&Packet::Connect(connect));
    client.expect_close();
}

#[test]
fn answers_come_at_the_granted_qos_and_only_to_subscribers() {
    let (hub, _events) = start(Options::default().enroll("r"));
    let token = dps_token(&hub, "r", hub.enrollment_key("r").unwrap(), 3600);
    for (asked, answered) in [
        (QoS::AtMostOnce, QoS::AtMostOnce),
        (QoS::AtLeastOnce, QoS::AtLeastOnce),
        (QoS::ExactlyOnce, QoS::AtLeastOnce),
    ] {
        let mut client = Client::open(&hub, Tls::default());
        client.send(&Packet::Connect(dps_connect(&hub, "r", &token)));
        client.expect_connack();
        client.publish(REGISTER, 1, "");
        client.expect_puback(1);
        client.subscribe(FILTER, asked);
        client.publish(REGISTER, 2, "");
        client.expect_puback(2);
        let publish = client.expect_publish();
        assert_eq!(publish.qos, answered);
        if answered == QoS::AtLeastOnce {
            client.acknowledge(publish.pkid);
        }
        let mut unsubscribe = rumqttc::mqttbytes::v4::Unsubscribe::new(FILTER);
        unsubscribe.pkid = 4;
        client.send(&Packet::Unsubscribe(unsubscribe));
        assert!(matches!(client.receive(), Some(Packet::UnsubAck(_))));
        client.publish(REGISTER, 3, "");
        client.expect_puback(3);
        client.send(&Packet::PingReq);
        assert_eq!(client.receive(), Some(Packet::PingResp));
    }
}

#[test]
fn sessions_are_never_kept() {
    let (hub, _events) = start(Options::default().enroll("r"));
    let token = dps_token(&hub, "r", hub.enrollment_key("r").unwrap(), 3600);
    for _ in 0..2 {
        let mut connect = dps_connect(&hub, "r", &token);
        connect.clean_session = false;
        enter(&hub, Over::Tls, Tls::default(), connect).disconnect();
    }
}

#[test]
fn misuse_closes_the_connection() {
    let (hub, events) = start(Options::default().enroll("r"));
    type Misuse = fn(&mut Client);
    let cases: [(Misuse, &str); 8] = [
        (|c| c.publish("devices/r/messages/events/", 1, "x"), "no topic"),
        (|c| c.publish("$dps/registrations/PUT/iotdps-register/", 1, ""), "no topic"),
        (|c| c.publish("$dps/registrations/PUT/iotdps-register/?x=1", 1, ""), "$rid"),
        (|c| c.publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1", 1, ""), "operationId"),
        (|c| c.send_subscribe(9, &[("$dps/registrations/res/200/#", QoS::AtLeastOnce)]), "only filter"),
        (
            |c| c.send_subscribe(9, &[(FILTER, QoS::AtLeastOnce), ("$iothub/twin/res/#", QoS::AtLeastOnce)]),
            "only filter",
        ),
        (
            |c| {
                let mut twice = publish(REGISTER, 3, "");
                twice.qos = QoS::ExactlyOnce;
                c.send(&Packet::Publish(twice));
            },
            "QoS 2",
        ),
        (|c| c.send(&Packet::Connect(Connect::new("r"))), "second CONNECT"),
    ];
    for (misuse, reason) in cases {
        let mut client = enter_enrolled(&hub, "r");
        misuse(&mut client);
        client.expect_close();
        let refused = events.next("refused");
        assert_eq!((&refused["registration"], &refused["code"]), (&json!("r"), &json!("protocol")));
        assert!(refused["reason"].as_str().unwrap().contains(reason), "{refused}");
    }
}

#[test]
fn bodies_that_no_request_has_are_refused_in_their_topic() {
    let (hub, _events) = start(Options::default().enroll("r"));
    let mut client = enter_enrolled(&hub, "r");
    for (body, status) in [
        ("[", 400),
        ("[]", 400),
        (r#"{"registrationId":"q"}"#, 400),
        (r#"{"registrationId":1}"#, 400),
        (r#"{"registrationId":"r","csr":"MIIB"}"#, 400),
        (&format!(r#"{{"payload":"{}"}}"#, "x".repeat(96 * 1024)), 413),
    ] {
        let (topic, _) = register(&mut client, body);
        assert_eq!(topic, format!("$dps/registrations/res/{status}/?$rid=1"), "{body:.40}");
    }
    assert!(hub.connection_string("r").is_none());
    for body in ["", " ", "{}", r#"{"payload": null, "registrationId": "R"}"#] {
        assert!(register(&mut client, body).0.contains("/202/"), "{body}");
    }
}

#[test]
fn unknown_operations_are_not_found() {
    let (hub, _events) = start(Options::default().enroll("r").enroll("q"));
    let mut other = enter_enrolled(&hub, "q");
    let foreign = register(&mut other, "").1["operationId"].clone();
    let mut client = enter_enrolled(&hub, "r");
    assert!(poll(&mut client, &foreign).0.contains("/404/"), "before the first registration");
    provision(&mut client, "");
    for operation in [foreign, json!("4.0.0")] {
        let (topic, body) = poll(&mut client, &operation);
        assert_eq!(topic, "$dps/registrations/res/404/?$rid=2");
        assert_eq!(body["errorCode"].as_u64().unwrap() / 1000, 404);
    }
}

#[test]
fn polls_wait_for_the_result_and_too_many_are_throttled() {
    let enrollment = EnrollmentOptions { assigning_polls: 2, ..EnrollmentOptions::new("r") };
    let (hub, _events) = start(Options::default().enrollment(enrollment));
    let mut client = enter_enrolled(&hub, "r");
    let operation = register(&mut client, "").1["operationId"].clone();
    for _ in 0..2 {
        let (topic, body) = poll(&mut client, &operation);
        assert_eq!(topic, "$dps/registrations/res/202/?$rid=2&retry-after=3");
        assert_eq!(body["registrationState"]["status"], "assigning");
    }
    for _ in 0..3 {
        assert_eq!(poll(&mut client, &operation).1["status"], "assigned");
    }
    let (topic, body) = poll(&mut client, &operation);
    assert_eq!(topic, "$dps/registrations/res/429/?$rid=2&retry-after=3");
    assert_eq!(body["errorCode"].as_u64().unwrap() / 1000, 429);

    let mut unlimited = Options::default().enroll("r");
    unlimited.dps.poll_limit = 0;
    let (hub, _events) = start(unlimited);
    let mut client = enter_enrolled(&hub, "r");
    let operation = register(&mut client, "").1["operationId"].clone();
    assert!((0..20).all(|_| poll(&mut client, &operation).1["status"] == "assigned"));
}

#[test]
fn faults_reach_the_service() {
    let (hub, events) = start(Options::default().enroll("r").enroll("s"));
    hub.fault(&Fault::new("throttle", "r").count(2)).unwrap();
    hub.fault(&Fault::new("server_error", "r").code(503)).unwrap();
    let mut client = enter_enrolled(&hub, "r");
    for status in [429, 429, 503] {
        let (topic, body) = register(&mut client, "");
        assert_eq!(topic, format!("$dps/registrations/res/{status}/?$rid=1&retry-after=3"));
        assert_eq!(body["errorCode"].as_u64().unwrap() / 1000, status);
    }
    hub.fault(&Fault::new("no_answer", "*")).unwrap();
    client.publish(REGISTER, 7, "");
    client.expect_puback(7);
    assert!(register(&mut client, "").0.contains("/202/"));

    hub.fault(&Fault::new("refuse", "s").code(3)).unwrap();
    let token = dps_token(&hub, "s", hub.enrollment_key("s").unwrap(), 3600);
    assert_eq!(return_code(&hub, Tls::default(), dps_connect(&hub, "s", &token)), 3);
    assert_eq!(events.find("refused", |e| e["code"] == "fault")["registration"], "s");
    assert_eq!(return_code(&hub, Tls::default(), dps_connect(&hub, "s", &token)), 0);
    assert!(hub.fault(&Fault::new("throttle", "nobody")).is_err());

    hub.fault(&Fault::new("mute", "s")).unwrap();
    let mut unheard = Client::open(&hub, Tls::default());
    unheard.send(&Packet::Connect(dps_connect(&hub, "s", &token)));
    let refused = events.find("refused", |e| e["reason"] == "not answered on demand");
    assert_eq!((&refused["registration"], &refused["return_code"]), (&json!("s"), &Value::Null));
}

#[test]
fn a_connection_ends_with_its_token() {
    let (hub, _events) = start(Options::default().enroll("r"));
    let key = hub.enrollment_key("r").unwrap();
    let token = |life: i64| dps_connect(&hub, "r", &dps_token(&hub, "r", key, life));
    enter(&hub, Over::Tls, Tls::default(), token(-299)).expect_close();
    let mut forever = enter(&hub, Over::Tls, Tls::default(), token(i64::MAX));
    assert!(register(&mut forever, "").0.contains("/202/"));
}

#[test]
fn silence_ends_a_connection() {
    let (hub, _events) = start(Options::default().enroll("r"));
    let mut connect = dps_connect(&hub, "r", &dps_token(&hub, "r", hub.enrollment_key("r").unwrap(), 3600));
    connect.keep_alive = 1;
    enter(&hub, Over::Tls, Tls::default(), connect).expect_close();
}
