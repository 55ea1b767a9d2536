//! The page and what it asks of the hub.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use iothub_emulator::{Fault, Hub, Options};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use serde_json::{Value, json};
use support::*;

const JSON: &str = "Content-Type: application/json";

/// One request with the headers as they are given; the head and the body of the answer.
fn request(hub: &Hub, line: &str, headers: &[&str], body: &str) -> (String, String) {
    let mut stream = secure(hub, hub.https_address(), Tls::default());
    let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    write!(stream, "{text}\r\n{body}").unwrap();
    let mut answer = Vec::new();
    // The end may come without a close_notify.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

fn get(hub: &Hub, path: &str) -> (String, String) {
    request(hub, &format!("GET {path}"), &["Host: localhost"], "")
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn get_json(hub: &Hub, path: &str) -> Value {
    let (head, body) = get(hub, path);
    assert_eq!(status(&head), 200, "{path}: {head} {body}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    serde_json::from_str(&body).unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

/// The events of a stream with their ids, each as it comes.
fn stream(hub: &Hub, resume: &str) -> impl Iterator<Item = (String, Value)> + use<> {
    let mut stream = secure(hub, hub.https_address(), Tls::default());
    write!(stream, "GET /emulator/events HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("200"));
    // The opening: from there on the hub listens.
    lines.find(|line| line.starts_with("retry:")).unwrap();
    let mut id = String::new();
    lines.filter_map(move |line| {
        if let Some(text) = line.strip_prefix("id: ") {
            text.clone_into(&mut id);
        }
        line.strip_prefix("data: ").map(|data| (id.clone(), serde_json::from_str(data).unwrap()))
    })
}

#[test]
fn the_page_is_whole_guarded_and_kept_by_browsers() {
    let (hub, _events) = hub();
    let (head, page) = get(&hub, "/");
    assert_eq!(status(&head), 200);
    assert!(header(&head, "content-security-policy").contains("default-src 'none'; script-src 'self'"));
    assert_eq!(header(&head, "x-content-type-options"), "nosniff");
    assert!(!head.contains("access-control"), "{head}");
    let mut paths: Vec<String> = vec!["/".into()];
    let named = page.split(['"']).filter(|part| part.starts_with("/emulator/page/"));
    paths.extend(named.map(str::to_owned));
    let (_, main) = get(&hub, "/emulator/page/main.js");
    let imported = main.split('"').filter_map(|part| part.strip_prefix("./"));
    paths.extend(imported.map(|file| format!("/emulator/page/{file}")));
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let (head, body) = get(&hub, &path);
        assert_eq!(status(&head), 200, "{path}");
        assert!(!body.is_empty(), "{path}");
        // Nothing is asked of anybody else.
        assert!(!body.replace("http://www.w3.org/2000/svg", "").contains("//www."), "{path}");
        let etag = format!("If-None-Match: {}", header(&head, "etag"));
        let (head, body) = request(&hub, &format!("GET {path}"), &["Host: localhost", &etag], "");
        assert_eq!((status(&head), body.as_str()), (304, ""), "{path}");
        let old = "If-None-Match: \"0\"";
        assert_eq!(status(&request(&hub, &format!("GET {path}"), &["Host: localhost", old], "").0), 200);
    }
}

#[test]
fn other_web_sites_get_nothing() {
    let (hub, _events) = hub();
    for path in [
        "/",
        "/emulator/page/main.js",
        "/emulator/devices",
        "/emulator/token",
        "/emulator/events",
        "/emulator/faults",
        "/emulator/connection_string?id=d",
    ] {
        for headers in [
            ["Host: evil.test", "Accept: */*"],
            ["Host: localhost", "Origin: https://evil.test"],
            ["Host: localhost", "Sec-Fetch-Site: cross-site"],
            ["Host: localhost", "Sec-Fetch-Site: same-site"],
        ] {
            let (head, body) = request(&hub, &format!("GET {path}"), &headers, "");
            assert_eq!(status(&head), 403, "{path} {headers:?}");
            assert!(!body.contains("SharedAccess"), "{body}");
        }
    }
    let drop = r#"{"fault":"drop","device":"d"}"#;
    for (headers, refused) in
        [(["Host: localhost", "Content-Type: text/plain"], 415), (["Host: evil.test", JSON], 403)]
    {
        assert_eq!(status(&request(&hub, "POST /emulator/faults", &headers, drop).0), refused, "{headers:?}");
    }
    let by_address = format!("Host: {}", hub.https_address());
    let origin = format!("Origin: https://{}", hub.https_address());
    let own = [by_address.as_str(), origin.as_str(), "Sec-Fetch-Site: same-origin", JSON];
    assert_eq!(status(&request(&hub, "POST /emulator/faults", &own, drop).0), 200);
}

#[test]
fn devices_are_told_with_their_troubles() {
    let (hub, events) = hub();
    let mut client = Client::connect(&hub, "d");
    events.next("connected");
    client.subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce);
    hub.fault(&Fault::new("refuse", "e")).unwrap();
    let mut refused = Client::open(&hub, Tls::default());
    refused.send(&Packet::Connect(connect_packet(&hub, "e")));
    assert_eq!(refused.expect_connack().code as u8, 3);
    events.next("refused");
    hub.send_c2d("e", iothub_emulator::CloudMessage::new("x")).unwrap();
    let answer = get_json(&hub, "/emulator/devices");
    let devices = answer["devices"].as_array().unwrap();
    let ids: Vec<_> = devices.iter().map(|d| (d["device"].as_str(), d["module"].as_str())).collect();
    assert_eq!(ids, [(Some("d"), None), (Some("d"), Some("m")), (Some("e"), None)]);
    assert_eq!(devices[0]["connected"], true);
    assert_eq!(devices[0]["protocol"], "mqtt");
    assert!(devices[0]["auth"].as_str().unwrap().contains("sas"));
    assert_eq!(devices[1]["connected"], false);
    assert_eq!(devices[2]["queue"], 1);
    assert_eq!(devices[2]["trouble"]["event"], "refused");
    assert_eq!(devices[2]["trouble"]["code"], "fault");
    let kinds: Vec<_> = answer["operations"].as_array().unwrap().iter().map(|e| &e["event"]).collect();
    assert_eq!(kinds, ["connected", "refused"]);
    assert!(!answer.to_string().contains("SharedAccess"));
}

#[test]
fn secrets_are_given_when_asked_for() {
    let (hub, _events) = hub();
    let text = get_json(&hub, "/emulator/connection_string?id=d%2Fm");
    assert_eq!(text["connection_string"], hub.connection_string("d/m").unwrap());
    assert_eq!(status(&get(&hub, "/emulator/connection_string?id=nobody").0), 404);
    let token = get_json(&hub, "/emulator/token");
    let life = token["expires"].as_u64().unwrap() - unix_now();
    assert!((1..=600).contains(&life), "{life}");
    let authorization = format!("Authorization: {}", token["token"].as_str().unwrap());
    let path = format!("GET /twins/d{API}");
    assert_eq!(status(&request(&hub, &path, &["Host: localhost", &authorization], "").0), 200);
}

#[test]
fn a_stream_goes_on_where_it_was_cut() {
    let (hub, _events) = hub();
    let before = get_json(&hub, "/emulator/devices")["last_event"].as_str().unwrap().to_owned();
    let mut client = Client::connect(&hub, "d");
    let first: Vec<_> = stream(&hub, &format!("Last-Event-ID: {before}\r\n")).take(1).collect();
    assert_eq!(first[0].1["event"], "connected");
    for body in ["1", "2", "3"] {
        client.publish("devices/d/messages/events/", 0, body);
    }
    let again: Vec<_> = stream(&hub, &format!("Last-Event-ID: {}\r\n", first[0].0)).take(3).collect();
    let bodies: Vec<_> = again.iter().map(|(_, event)| event["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["1", "2", "3"]);
    let last: Vec<_> = stream(&hub, &format!("Last-Event-ID: {}\r\n", again[1].0)).take(1).collect();
    assert_eq!(last[0], again[2]);
    // From the start, of which nothing is lost yet.
    let path = "GET /emulator/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut from_start = secure(&hub, hub.https_address(), Tls::default());
    from_start.write_all(path.as_bytes()).unwrap();
    let mut lines = BufReader::new(from_start).lines().map(Result::unwrap);
    let first = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["event"], "connected");
    // Of a hub that was there before.
    let other = stream(&hub, "Last-Event-ID: 0123-1\r\n").next().unwrap();
    assert_eq!((&other.1["event"], &other.1["count"]), (&json!("lost"), &Value::Null));
}

#[test]
fn a_reader_that_sleeps_is_told_what_it_has_missed() {
    let (hub, _events) = hub();
    let mut sleeper = stream(&hub, "");
    let mut client = Client::connect(&hub, "d");
    let body = "x".repeat(100_000);
    // More than the sockets and the history hold together.
    let count = 600;
    for number in 0..count {
        client.publish(&format!("devices/d/messages/events/n={number}"), 0, &body);
    }
    client.publish("devices/d/messages/events/n=last", 1, "end");
    client.expect_puback(1);
    let (mut lost, mut seen) = (0, 0);
    for (_, event) in &mut sleeper {
        match event["event"].as_str().unwrap() {
            "lost" => lost += event["count"].as_u64().unwrap(),
            "telemetry" => seen += 1,
            _ => {}
        }
        if event["properties"]["n"] == "last" {
            break;
        }
    }
    assert!(lost > 0);
    assert_eq!(lost + seen, count + 1);
}

#[test]
fn faults_that_wait_are_told_and_forgotten() {
    let (hub, _events) = support::start(Options::default().device("d"));
    let post = |body: &str| request(&hub, "POST /emulator/faults", &["Host: localhost", JSON], body);
    assert_eq!(status(&post(r#"{"fault":"refuse","device":"d","count":2}"#).0), 200);
    let faults = get_json(&hub, "/emulator/faults");
    assert_eq!(faults["waiting"][0]["fault"], "refuse");
    assert_eq!(faults["waiting"][0]["count"], 2);
    let delay = faults["kinds"].as_array().unwrap().iter().find(|kind| kind["name"] == "delay").unwrap();
    assert_eq!(*delay, json!({"name": "delay", "for_ms": "must", "after_messages": false, "code": null}));
    let (head, _) = request(&hub, "DELETE /emulator/faults", &["Host: localhost"], "");
    assert_eq!(status(&head), 204);
    assert_eq!(get_json(&hub, "/emulator/faults")["waiting"], json!([]));
    Client::connect(&hub, "d");
}

#[test]
fn names_of_properties_keep_their_case() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    client.subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce);
    let token = get_json(&hub, "/emulator/token")["token"].as_str().unwrap().to_owned();
    let authorization = format!("Authorization: {token}");
    let properties = r#"emulator-properties: {"Level":"h\u00f6her","empty":"","none":null}"#;
    let path = format!("POST /devices/d/messages/devicebound{API}");
    let headers = ["Host: localhost", &authorization, properties];
    assert_eq!(status(&request(&hub, &path, &headers, "x").0), 204);
    let topic = client.expect_publish().topic;
    assert!(topic.ends_with("&Level=h%C3%B6her&empty=&none"), "{topic}");
}
