//! Messages to devices and to the inputs of modules.

use rumqttc::mqttbytes::QoS;
use serde_json::json;

use crate::https::*;
use crate::support::*;

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
    assert_eq!(authorized(&hub, path, &headers, "hello").status, 204);
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
        assert_eq!(authorized(&hub, path, &[header], "x").status, 204, "{header}");
        let topic = client.expect_publish().topic;
        let bag = topic.strip_prefix("devices/d/messages/devicebound/").unwrap();
        assert!(bag == pair || bag.split('&').any(|part| part == pair), "{header}: {bag}");
    }
    assert_eq!(authorized(&hub, path, &["iothub-app-: x"], "x").status, 400);
}

#[test]
fn a_message_is_posted_to_an_input() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d/m");
    client.subscribe("devices/d/modules/m/inputs/#", QoS::AtLeastOnce);
    let headers = ["iothub-messageid: 42", "iothub-app-level: high", "content-type: a/b"];
    let path = "POST /devices/d/modules/m/inputs/in";
    assert_eq!(authorized(&hub, path, &headers, "hello").status, 204);
    let publish = client.expect_publish();
    assert_eq!(publish.topic, "devices/d/modules/m/inputs/in/level=high&%24.mid=42&%24.ct=a%2Fb");
    assert_eq!(&publish.payload[..], b"hello");
    assert_eq!(authorized(&hub, "POST /devices/d/modules/x/inputs/in", &[], "hello").status, 404);
    assert_eq!(request(&hub, path, &[], b"hello").status, 401);
}

fn send(hub: &iothub_emulator::Hub, device: &str, id: &str, ack: &str) {
    let headers = [&*format!("iothub-messageid: {id}"), &*format!("iothub-ack: {ack}")];
    let line = format!("POST /devices/{device}/messages/devicebound");
    assert_eq!(authorized(hub, &line, &headers, "x").status, 204);
}

fn feedback(hub: &iothub_emulator::Hub) -> Answer {
    authorized(hub, "GET /messages/serviceBound/feedback", &[], "")
}

#[test]
fn a_queue_is_purged() {
    let (hub, events) = hub();
    for id in ["1", "2"] {
        send(&hub, "d", id, "none");
    }
    let answer = authorized(&hub, "DELETE /devices/d/commands", &[], "");
    let expected = json!({"deviceId": "d", "moduleId": null, "totalMessagesPurged": 2});
    assert_eq!((answer.status, answer.json()), (200, expected));
    assert_eq!(events.find("c2d", |e| e["state"] == "purged")["message_id"], "1");
    assert_eq!(authorized(&hub, "GET /devices/d", &[], "").json()["cloudToDeviceMessageCount"], 0);
    assert_eq!(authorized(&hub, "DELETE /devices/nobody/commands", &[], "").error(), "DeviceNotFound");
    let again = authorized(&hub, "DELETE /devices/d/commands", &[], "").json();
    assert_eq!(again["totalMessagesPurged"], 0);
}

#[test]
fn feedback_tells_what_became_of_messages() {
    let (hub, events) = hub();
    assert_eq!((feedback(&hub).status, feedback(&hub).text()), (204, ""));
    let mut client = Client::connect(&hub, "d");
    client.subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce);
    for (id, ack) in [("full", "full"), ("positive", "positive"), ("negative", "negative"), ("none", "none")]
    {
        send(&hub, "d", id, ack);
        let publish = client.expect_publish();
        client.acknowledge(publish.pkid);
        events.find("c2d", |e| e["state"] == "completed");
    }
    for (id, ack) in [("e1", "full"), ("e2", "positive"), ("e3", "negative")] {
        send(&hub, "e", id, ack);
    }
    authorized(&hub, "DELETE /devices/e/commands", &[], "");
    let path = "POST /devices/e/messages/devicebound";
    let past = ["iothub-messageid: old", "iothub-ack: negative", "iothub-expiry: 2001-01-01T00:00:00Z"];
    assert_eq!(authorized(&hub, path, &past, "x").status, 204);

    let batch = feedback(&hub);
    let records: Vec<_> = batch
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|r| json!([r["deviceId"], r["originalMessageId"], r["statusCode"]]))
        .collect();
    assert_eq!(
        json!(records),
        json!([
            ["d", "full", "Success"],
            ["d", "positive", "Success"],
            ["e", "e1", "Purged"],
            ["e", "e3", "Purged"],
            ["e", "old", "Expired"],
        ])
    );
    let generation = authorized(&hub, "GET /devices/d", &[], "").json()["generationId"].clone();
    assert_eq!(batch.json()[0]["deviceGenerationId"], generation);
    assert_eq!(batch.header("content-type"), Some("application/vnd.microsoft.iothub.feedback.json"));
    assert_eq!(batch.header("iothub-userid"), Some("localhost"));
    assert_eq!(batch.header("iothub-deliverycount"), Some("1"));

    let token = batch.header("etag").unwrap().trim_matches('"').to_owned();
    let settle = |what: &str| authorized(&hub, &what.replace("TOKEN", &token), &[], "");
    assert_eq!(feedback(&hub).status, 204, "it is locked");
    assert_eq!(settle("POST /messages/serviceBound/feedback/TOKEN/abandon").status, 204);
    let lost = settle("DELETE /messages/serviceBound/feedback/TOKEN");
    assert_eq!((lost.status, lost.error()), (412, "DeviceMessageLockLost"));
    let again = feedback(&hub);
    assert_eq!((again.json(), again.header("iothub-deliverycount")), (batch.json(), Some("2")));
    let token = again.header("etag").unwrap().trim_matches('"');
    let line = format!("DELETE /messages/servicebound/feedback/{token}{API}&reject");
    assert_eq!(authorized(&hub, &line, &[], "").status, 204);
    assert_eq!(feedback(&hub).status, 204);

    send(&hub, "e", "late", "full");
    authorized(&hub, "DELETE /devices/e/commands", &[], "");
    authorized(&hub, "DELETE /devices/e", &["If-Match: *"], "");
    assert_eq!(feedback(&hub).status, 204, "feedback about a deleted device is gone");
}
