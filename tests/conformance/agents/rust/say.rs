//! What the agent says.

use iothub_mqtt::hub::Message;
use iothub_mqtt::{ConnectionState, ErrorKind, Status};
use serde_json::{Map, Value, json};

use crate::options;

/// One line, whole whatever other threads say.
pub(crate) fn line(value: &Value) {
    println!("{value}");
}

/// The name of the C status without its prefix.
pub(crate) fn status(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Internal => "INTERNAL",
        ErrorKind::Argument => "ARGUMENT",
        ErrorKind::State => "STATE",
        ErrorKind::Closed => "CLOSED",
        ErrorKind::Full => "FULL",
        ErrorKind::Timeout => "TIMEOUT",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::Unsupported => "UNSUPPORTED",
        ErrorKind::Expired => "EXPIRED",
        ErrorKind::Dropped => "DROPPED",
        ErrorKind::Network => "NETWORK",
        ErrorKind::Tls => "TLS",
        ErrorKind::Auth => "AUTH",
        ErrorKind::Protocol => "PROTOCOL",
        ErrorKind::Throttled => "THROTTLED",
        ErrorKind::TooLarge => "TOO_LARGE",
        ErrorKind::Precondition => "PRECONDITION",
        ErrorKind::Rejected => "REJECTED",
        _ => "UNKNOWN",
    }
}

pub(crate) fn state(client: &str, status: &Status) {
    let state = match status.state {
        ConnectionState::Disconnected => "disconnected",
        ConnectionState::Connecting => "connecting",
        ConnectionState::Connected => "connected",
        ConnectionState::Closed => "closed",
    };
    line(&json!({
        "event": "state", "client": client, "state": state,
        "cause": status.cause.map_or("none", |cause| cause.name()),
        "status": status.error_kind().map_or("OK", self::status), "detail": status.detail,
    }));
}

/// Body, fields and properties; the body in hexadecimal digits where it is no text.
pub(crate) fn message(message: &Message) -> Value {
    let fields = super::FIELDS.iter().filter_map(|(name, field)| Some((*name, message.system(*field)?)));
    let fields: Map<String, Value> = fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let properties: Map<String, Value> =
        message.properties().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut event = json!({ "fields": fields, "properties": properties });
    match std::str::from_utf8(message.body()) {
        Ok(text) => event["body"] = text.into(),
        Err(_) => event["body_hex"] = options::hex(message.body()).into(),
    }
    event
}
