//! Bodies of requests in JSON.

use serde::Deserialize;

use crate::error::HubError;

/// Reads an object.
pub(super) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, HubError> {
    // A list would be taken for the fields in their order.
    if body.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(HubError::argument("the body must be a JSON object"));
    }
    any(body)
}

/// Reads whatever `T` takes.
pub(super) fn any<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, HubError> {
    serde_json::from_slice(body).map_err(|e| unreadable("the body", &e))
}

/// What is wrong with JSON, without the value that is: it may be a key.
pub(super) fn unreadable(what: &str, error: &serde_json::Error) -> HubError {
    let text = error.to_string();
    let text = match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => text,
    };
    HubError::argument(format!("{what}: {text}"))
}
