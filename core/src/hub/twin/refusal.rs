//! What a status other than success means.

use crate::error::{Error, ErrorKind};

/// Whether it may be done later: too many requests, or a failure of the hub.
pub(super) fn is_transient(status: u16) -> bool {
    status == 429 || status >= 500
}

/// What a status means (Microsoft's page on MQTT, "Retrieving a device twin's properties" and "Update
/// device twin's reported properties", and the service's own error texts).
pub(super) fn refusal(status: u16, body: &[u8]) -> Error {
    let (kind, meaning) = match status {
        400 => (ErrorKind::Rejected, "it is malformed or breaks a limit of twins"),
        401 => (ErrorKind::Rejected, "not authorized"),
        403 => (ErrorKind::Rejected, "forbidden, or over a quota of the hub"),
        404 => (ErrorKind::Rejected, "the device or module does not exist"),
        412 => (ErrorKind::Precondition, "the twin was changed meanwhile"),
        413 => (ErrorKind::TooLarge, "too large"),
        429 => (ErrorKind::Throttled, "too many requests; try again later"),
        500.. => (ErrorKind::Rejected, "the hub failed; try again later"),
        _ => (ErrorKind::Rejected, "refused"),
    };
    let text = super::super::json::object(body).ok().and_then(|mut body| body.remove("message"));
    let said = match text.as_ref().and_then(|text| text.as_str()) {
        Some(text) => format!(": {}", text.chars().take(200).collect::<String>()),
        None => String::new(),
    };
    Error::new(kind, format!("the hub refused the twin request ({status}): {meaning}{said}"))
}
