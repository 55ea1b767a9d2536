//! HTTP requests over TLS, one connection each.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use iothub_emulator::Hub;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use serde_json::Value;

use super::support::{API, Secure, Tls, secure, unix_now};

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The name of a refusal, which stands in the header and in the body.
    pub(crate) fn error(&self) -> &str {
        let name = self.header("iothub-errorcode").unwrap_or_else(|| panic!("no refusal: {}", self.text()));
        assert!(self.text().contains(name) || self.text().contains(r#"\"errorCode\":"#), "{}", self.text());
        name
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

/// A request with a body of known length.
pub(crate) fn request(hub: &Hub, line: &str, headers: &[&str], body: &[u8]) -> Answer {
    request_as(hub, Tls::default(), line, headers, body)
}

pub(crate) fn request_as(hub: &Hub, tls: Tls, line: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut stream = secure(hub, hub.https_address(), tls);
    let mut text = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    // The hub may answer before it has read everything.
    let _ = stream.write_all(&[text.as_bytes(), body].concat()).and_then(|()| stream.flush());
    read_answer(stream)
}

/// What comes until the connection ends.
pub(crate) fn read_answer(mut stream: Secure) -> Answer {
    let mut answer = Vec::new();
    // The end may come without a close_notify.
    let _ = stream.read_to_end(&mut answer);
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer"));
    let head = String::from_utf8(answer[..at].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_off(at + 4);
    Answer { status, head, body }
}

/// With a token that allows everything, and an api-version where `line` has no query.
pub(crate) fn authorized(hub: &Hub, line: &str, headers: &[&str], body: &str) -> Answer {
    let authorization = format!("Authorization: {}", owner_token(hub));
    request(hub, &versioned(line), &[&[authorization.as_str()], headers].concat(), body.as_bytes())
}

pub(crate) fn versioned(line: &str) -> String {
    if line.contains('?') { line.to_owned() } else { format!("{line}{API}") }
}

/// A token of the policy `iothubowner` for the whole hub.
pub(crate) fn owner_token(hub: &Hub) -> String {
    policy_token(hub, "iothubowner", "", 60)
}

/// A token of `policy` for `path` and what is below it, which ends in `life` seconds.
pub(crate) fn policy_token(hub: &Hub, policy: &str, path: &str, life: i64) -> String {
    let key = SharedAccessKey::from_base64(&hub.policy_key(policy).unwrap()).unwrap();
    let resource = sas::encode_resource(&format!("{}{path}", hub.name()));
    sas::token(&resource, &key, unix_now().saturating_add_signed(life), Some(policy))
}

/// Server-sent events, from the moment at which this returns.
pub(crate) struct EventStream(BufReader<Secure>);

impl EventStream {
    pub(crate) fn open(hub: &Hub, path: &str) -> Self {
        let mut stream = secure(hub, hub.https_address(), Tls::default());
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        Self(reader)
    }

    pub(crate) fn next(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            if let Some(data) = line.strip_prefix("data:") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}
