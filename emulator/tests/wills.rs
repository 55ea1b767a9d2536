//! Last wills.

#![allow(clippy::unwrap_used)]

mod support;

use iothub_emulator::{Fault, Options, Settings};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, LastWill, Packet};
use serde_json::json;
use support::*;

const EVENTS: &str = "devices/d/messages/events/";

fn with_will(topic: &'static str, qos: QoS, retain: bool) -> impl FnOnce(&mut Connect) {
    move |connect| connect.last_will = Some(LastWill::new(topic, "gone", qos, retain))
}

#[test]
fn a_will_is_telemetry_with_its_own_properties_and_a_mark() {
    let (hub, events) = hub();
    let topic = "devices/d/messages/events/%24.ct=a%2Fb&k=v&iothub-MessageType=Mine";
    for (qos, retain) in [(QoS::AtMostOnce, true), (QoS::AtLeastOnce, false)] {
        drop(Client::connect_with(&hub, "d", with_will(topic, qos, retain)));
        let event = events.next("telemetry");
        assert_eq!((&event["body"], &event["system"]["content-type"]), (&json!("gone"), &json!("a/b")));
        assert_eq!(event["system"]["iothub-connection-device-id"], "d");
        let mut expected = json!({"k": "v", "iothub-MessageType": "Will"});
        if retain {
            expected["mqtt-retain"] = "true".into();
        }
        assert_eq!(event["properties"], expected);
    }
}

#[test]
fn a_module_has_a_will_of_its_own_and_not_its_devices() {
    let (hub, events) = hub();
    let own = "devices/d/modules/m/messages/events/";
    drop(Client::connect_with(&hub, "d/m", with_will(own, QoS::AtLeastOnce, false)));
    let event = events.next("telemetry");
    assert_eq!((&event["module"], &event["properties"]["iothub-MessageType"]), (&json!("m"), &json!("Will")));
    for (id, topic) in [("d/m", EVENTS), ("d", own), ("d", "devices/e/messages/events/")] {
        let mut client = Client::open(&hub, Tls::default());
        let mut connect = connect_packet(&hub, id);
        with_will(topic, QoS::AtLeastOnce, false)(&mut connect);
        client.send(&Packet::Connect(connect));
        client.expect_close();
        assert_eq!(events.next("refused")["code"], "will", "{id} {topic}");
    }
}

#[test]
fn every_end_but_disconnect_sends_the_will() {
    let settings = Settings { token_skew: std::time::Duration::ZERO, ..Settings::default() };
    let (hub, events) = start(Options { settings, ..Options::default().device("d") });
    let connect = |change: &dyn Fn(&mut Connect)| {
        let connected = Client::connect_with(&hub, "d", |connect| {
            with_will(EVENTS, QoS::AtLeastOnce, false)(connect);
            change(connect);
        });
        connected.0
    };
    let sent = |code: &str| {
        assert_eq!(events.next("telemetry")["properties"]["iothub-MessageType"], "Will", "{code}");
        assert_eq!(events.next("disconnected")["code"], code);
    };
    drop(connect(&|_| ()));
    sent("lost");

    connect(&|connect| connect.keep_alive = 1).expect_close();
    sent("keep_alive");

    let short = token(&hub, "d", 2);
    connect(&|connect| {
        connect.set_login(format!("localhost/d/{API}"), short.clone());
    })
    .expect_close();
    sent("expired");

    let mut client = connect(&|_| ());
    hub.fault(&Fault::new("drop", "d")).unwrap();
    client.expect_close();
    sent("fault");

    let mut client = connect(&|_| ());
    client.publish("nowhere", 1, "");
    client.expect_close();
    sent("protocol");

    let mut first = connect(&|_| ());
    let second = connect(&|_| ());
    first.expect_close();
    sent("taken_over");
    second.disconnect();
    assert_eq!(events.next("disconnected")["code"], "client");
    drop(connect(&|_| ()));
    sent("lost");
}
