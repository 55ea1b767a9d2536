//! How many devices there are and how many are connected.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::refusal::authorize;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new().route("/statistics/devices", get(devices)).route("/statistics/service", get(service))
}

async fn devices(State(broker): Shared, headers: HeaderMap) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, Right::RegistryRead, &["statistics", "devices"])?;
    let (mut enabled, mut disabled) = (0_u64, 0_u64);
    broker.survey(|identity, entry| {
        if identity.module_id().is_none() {
            *(if entry.record.enabled { &mut enabled } else { &mut disabled }) += 1;
        }
        ControlFlow::Continue(())
    });
    Ok(Json(json!({
        "totalDeviceCount": enabled + disabled,
        "enabledDeviceCount": enabled,
        "disabledDeviceCount": disabled,
    })))
}

async fn service(State(broker): Shared, headers: HeaderMap) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, Right::RegistryRead, &["statistics", "service"])?;
    let mut connected = 0_u64;
    broker.survey(|identity, entry| {
        connected += u64::from(identity.module_id().is_none() && entry.link.is_some());
        ControlFlow::Continue(())
    });
    Ok(Json(json!({ "connectedDeviceCount": connected })))
}
