//! Direct methods.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, Target, parse};
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::edge::admit_module;
use crate::https::refusal::authorize;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new()
        .route("/twins/{device}/methods", post(call_method))
        .route("/twins/{device}/modules/{module}/methods", post(call_method))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodCall {
    method_name: String,
    payload: Option<Value>,
    response_timeout_in_seconds: Option<u64>,
    connect_timeout_in_seconds: Option<u64>,
}

async fn call_method(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, HubError> {
    if !admit_module(&broker, &headers)? {
        authorize(&broker, &headers, Right::ServiceConnect, &["twins", &target.device, "methods"])?;
    }
    let call: MethodCall = parse(&body)?;
    let response = call.response_timeout_in_seconds.unwrap_or(30);
    let connect = call.connect_timeout_in_seconds.unwrap_or(0);
    if !(5..=300).contains(&response) {
        return Err(HubError::argument("responseTimeoutInSeconds must be 5 to 300"));
    }
    if connect > 300 {
        return Err(HubError::argument("connectTimeoutInSeconds must be 0 to 300"));
    }
    let (status, payload) = broker
        .call_method(
            &target.identity(),
            &call.method_name,
            call.payload.as_ref(),
            Duration::from_secs(connect),
            Duration::from_secs(response),
        )
        .await?;
    Ok(Json(json!({ "status": status, "payload": payload })))
}
