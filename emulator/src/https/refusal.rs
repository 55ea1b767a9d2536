//! Refusals in the service API's form, and who is let in.

use axum::Json;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::time::{now_text, unix_now};

/// The header with a refusal's name.
pub(super) const ERROR_CODE: &str = "iothub-errorcode";

impl IntoResponse for HubError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let tracking = uuid::Uuid::new_v4().simple();
        let body = json!({
            "Message": format!("ErrorCode:{};{}", self.name, self.message),
            "ExceptionMessage": format!("Tracking ID:{tracking}-TimeStamp:{}", now_text()),
        });
        (status, [(ERROR_CODE, self.name)], Json(body)).into_response()
    }
}

/// A path that is there, asked for with a method that it does not have.
pub(super) async fn method(method: Method, uri: Uri) -> HubError {
    let text = format!("{} does not take {method}", uri.path());
    HubError::new(405_000, "GenericMethodNotAllowed", text)
}

/// A refusal that this crate did not write, such as that of a body beyond any limit.
pub(super) async fn in_form(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() || response.headers().contains_key(ERROR_CODE) {
        return response;
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => HubError::new(413_001, "MessageTooLarge", "the body is too large"),
        _ => HubError::argument(format!("the request could not be read: {status}")),
    }
    .into_response()
}

/// Checks the token of a back-end's request for what `right` allows.
pub(super) fn authorize(
    broker: &Broker,
    headers: &HeaderMap,
    right: Right,
    path: &[&str],
) -> Result<(), HubError> {
    let refused = |why: String| HubError::new(401_002, "IotHubUnauthorizedAccess", why);
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| refused("the request has no Authorization header".into()))?;
    broker.authority.admit_service(token, right, path, unix_now()).map_err(refused)
}
