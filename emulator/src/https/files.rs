//! Where a device begins the upload of a file and tells the hub how it went.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::json;
use super::websocket::Certificate;
use crate::broker::Broker;
use crate::error::HubError;
use crate::events::Event;
use crate::files::{Begun, CONTAINER};
use crate::identity::Identity;
use crate::time::unix_now;

type Shared = State<Arc<Broker>>;
type Shown = Extension<Certificate>;

pub(super) fn router() -> Router<Arc<Broker>> {
    // The SDK for C ends its paths with a slash.
    Router::new()
        .route("/devices/{device}/files", post(begin))
        .route("/devices/{device}/files/", post(begin))
        .route("/devices/{device}/files/notifications", post(end))
        .route("/devices/{device}/files/notifications/", post(end))
        .route("/devices/{device}/files/notifications/{correlation}", post(end_named))
}

/// A refusal as a device gets it: one document inside the other.
struct Refused(HubError);

impl From<HubError> for Refused {
    fn from(error: HubError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "Message": error.topic_body().to_string(), "ExceptionMessage": "" });
        (status, [("iothub-errorcode", error.name)], Json(body)).into_response()
    }
}

/// Checks the device's token or certificate.
fn authorize(
    broker: &Broker,
    device: &str,
    headers: &HeaderMap,
    shown: &Certificate,
) -> Result<(), HubError> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.filter(|token| !token.is_empty());
    let identity = Identity::device(device);
    let admitted = broker.admit(&identity, token, shown.0.as_ref(), unix_now());
    admitted.map(|_| ()).map_err(|cause| {
        let name = "IotHubUnauthorizedAccess";
        HubError::new(401_003, name, cause.reason)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    blob_name: String,
}

async fn begin(
    State(broker): Shared,
    Extension(shown): Shown,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    authorize(&broker, &device, &headers, &shown)?;
    let wanted: Wanted = json::object(&body)?;
    let Begun { correlation, host, blob, token } =
        broker.files.begin(&device, &wanted.blob_name, Timestamp::now())?;
    Ok(Json(json!({
        "correlationId": correlation,
        "hostName": host,
        "containerName": CONTAINER,
        "blobName": blob,
        "sasToken": token,
    })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    correlation_id: Option<String>,
    is_success: bool,
    status_code: Option<i64>,
    status_description: Option<String>,
}

async fn end(
    State(broker): Shared,
    Extension(shown): Shown,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    authorize(&broker, &device, &headers, &shown)?;
    let mut outcome: Outcome = json::object(&body)?;
    let correlation =
        outcome.correlation_id.take().ok_or_else(|| HubError::argument("correlationId must be given"))?;
    Ok(finish(&broker, &device, correlation, outcome)?)
}

/// As the SDK for Node does it: the correlation id in the path.
async fn end_named(
    State(broker): Shared,
    Extension(shown): Shown,
    Path((device, correlation)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    authorize(&broker, &device, &headers, &shown)?;
    Ok(finish(&broker, &device, correlation, json::object(&body)?)?)
}

fn finish(
    broker: &Broker,
    device: &str,
    correlation: String,
    outcome: Outcome,
) -> Result<StatusCode, HubError> {
    let ended = broker.files.end(device, &correlation, outcome.is_success, Timestamp::now())?;
    broker.events.emit(Some(&Identity::device(device)), || Event::File {
        state: if outcome.is_success { "uploaded" } else { "failed" },
        correlation_id: correlation,
        blob: ended.name,
        file: ended.blob,
        status_code: outcome.status_code,
        status_description: outcome.status_description,
    });
    Ok(StatusCode::NO_CONTENT)
}
