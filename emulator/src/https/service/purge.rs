//! The queue of messages to a device.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::delete;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::refusal::authorize;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new().route("/devices/{device}/commands", delete(purge))
}

async fn purge(
    State(broker): Shared,
    Path(device): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &["devices", &device, "commands"])?;
    let purged = broker.purge(&device)?;
    Ok(Json(json!({ "deviceId": device, "moduleId": null, "totalMessagesPurged": purged })))
}
