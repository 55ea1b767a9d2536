//! Requests of a back-end to the HTTPS port.

use std::io::{Read as _, Write as _};

use iothub_emulator::Hub;
use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use serde_json::Value;

use super::{API, Tls, secure, unix_now};

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The name of a refusal, which stands in the header and in the body.
    pub(crate) fn error(&self) -> &str {
        let name = self.header("iothub-errorcode").unwrap();
        assert!(self.body.contains(name) || self.body.contains(r#"\"errorCode\":"#), "{}", self.body);
        name
    }
}

/// A token of the policy `iothubowner` for the whole hub.
pub(crate) fn owner_token(hub: &Hub, life: i64) -> String {
    let service: ConnectionString = hub.service_connection_string().parse().unwrap();
    let key = SharedAccessKey::from_base64(&service.shared_access_key.unwrap()).unwrap();
    let policy = service.shared_access_key_name.unwrap();
    let expiry = unix_now().saturating_add_signed(life);
    sas::token(&sas::encode_resource(&service.host_name), &key, expiry, Some(&policy))
}

/// One request, as `GET /twins/d?api-version=…`.
pub(crate) fn request(hub: &Hub, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut stream = secure(hub, hub.https_address(), Tls::default());
    let mut text = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
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
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// With a token that allows everything, and an api-version where `line` has no query.
pub(crate) fn authorized(hub: &Hub, line: &str, headers: &[&str], body: &str) -> Answer {
    let authorization = format!("Authorization: {}", owner_token(hub, 60));
    request(hub, &versioned(line), &[&[authorization.as_str()], headers].concat(), body)
}

pub(crate) fn versioned(line: &str) -> String {
    if line.contains('?') { line.to_owned() } else { format!("{line}{API}") }
}
