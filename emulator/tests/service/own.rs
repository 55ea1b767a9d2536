//! What only a local hub offers.

use std::io::{BufRead as _, BufReader, Write as _};

use serde_json::{Value, json};

use crate::https::*;
use crate::support::*;

#[test]
fn events_are_streamed() {
    let (hub, _events) = hub();
    let mut stream = secure(&hub, hub.https_address(), Tls::default());
    write!(stream, "GET /emulator/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("200"));
    lines.find(|line| line.is_empty()).unwrap();
    let mut client = Client::connect(&hub, "d");
    client.publish("devices/d/messages/events/a=1", 0, "two\nlines");
    let events = lines.filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap()));
    let kinds: Vec<Value> = events.take(2).collect();
    assert_eq!(kinds[0]["event"], "connected");
    assert_eq!(kinds[1]["body"], "two\nlines");
}

#[test]
fn faults_are_posted() {
    let (hub, _events) = hub();
    let mut client = Client::connect(&hub, "d");
    let path = "POST /emulator/faults";
    let json = ["Content-Type: application/json"];
    let answer = request(&hub, path, &json, br#"{"fault":"explode"}"#);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("no fault 'explode'"), "{}", answer.text());
    assert_eq!(request(&hub, path, &json, br#"{"fault":"drop","color":"red"}"#).status, 400);
    let answer = request(&hub, path, &json, br#"{"fault":"drop","device":"d","count":1}"#);
    assert_eq!((answer.status, answer.json()), (200, json!({"reached": 1, "waiting": false})));
    client.expect_close();
}
