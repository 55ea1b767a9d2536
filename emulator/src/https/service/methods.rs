//! Direct methods.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{Shared, Target};
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::edge::admit_module;
use crate::https::json;
use crate::https::refusal::{ERROR_CODE, authorize};

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new()
        .route("/twins/{device}/methods", post(call_method))
        .route("/twins/{device}/modules/{module}/methods", post(call_method))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodCall {
    method_name: String,
    /// Absent it is empty, and null it is null.
    #[serde(default, deserialize_with = "given")]
    payload: Option<Value>,
    response_timeout_in_seconds: Option<u64>,
    connect_timeout_in_seconds: Option<u64>,
}

fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// Why there is no answer of a device.
enum Failure {
    /// The request is bad.
    Request(HubError),
    /// The device is not there, or does not answer.
    Callee(HubError),
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        match error.status {
            400 | 413 => Self::Request(error),
            _ => Self::Callee(error),
        }
    }
}

impl IntoResponse for Failure {
    /// IoT Hub writes the failure of a callee as JSON within JSON.
    fn into_response(self) -> Response {
        let error = match self {
            Self::Request(error) => return error.into_response(),
            Self::Callee(error) => error,
        };
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut message = error.topic_body();
        message["info"] = json!({});
        let body = json!({ "Message": message.to_string(), "ExceptionMessage": "" });
        (status, [(ERROR_CODE, error.name)], Json(body)).into_response()
    }
}

async fn call_method(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let path = [target.path("twins"), vec!["methods"]].concat();
    let admitted = admit_module(&broker, &headers, &target.device).and_then(|module| {
        if module { Ok(()) } else { authorize(&broker, &headers, Right::ServiceConnect, &path) }
    });
    admitted.map_err(Failure::Request)?;
    let call: MethodCall = json::object(&body)?;
    let (connect, response) = timeouts(call.connect_timeout_in_seconds, call.response_timeout_in_seconds)?;
    let (status, payload) = broker
        .call_method(&target.identity(), &call.method_name, call.payload.as_ref(), connect, response)
        .await?;
    Ok(Json(json!({ "status": status, "payload": payload })))
}

/// How long to wait for the connection and for the answer, as asked for in seconds.
pub(super) fn timeouts(
    connect: Option<u64>,
    response: Option<u64>,
) -> Result<(Duration, Duration), HubError> {
    let (connect, response) = (connect.unwrap_or(0), response.unwrap_or(30));
    if !(5..=300).contains(&response) {
        return Err(HubError::argument("responseTimeoutInSeconds must be 5 to 300"));
    }
    if connect > 300 {
        return Err(HubError::argument("connectTimeoutInSeconds must be 0 to 300"));
    }
    Ok((Duration::from_secs(connect), Duration::from_secs(response)))
}
