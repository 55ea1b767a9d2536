//! The identity registry: devices and modules, one at a time.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use super::identities::{Given, document};
use super::{Etagged, Shared, Target, if_match};
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::json;
use crate::https::refusal::authorize;
use crate::identity::Identity;

const MAX_LIST: usize = 1000;

pub(super) fn router() -> Router<Arc<Broker>> {
    let identity = || get(read).put(put).delete(delete);
    Router::new()
        .route("/devices", get(list_devices))
        .route("/devices/{device}", identity())
        .route("/devices/{device}/modules", get(list_modules))
        .route("/devices/{device}/modules/{module}", identity())
}

#[derive(Deserialize)]
struct Limit {
    top: Option<String>,
}

async fn list_devices(
    State(broker): Shared,
    Query(limit): Query<Limit>,
    headers: HeaderMap,
) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, Right::RegistryRead, &["devices"])?;
    // What is no number up to 1000 counts as 1000.
    let top = limit.top.and_then(|top| top.parse().ok()).filter(|top| (1..=MAX_LIST).contains(top));
    let top = top.unwrap_or(MAX_LIST);
    let mut devices = Vec::new();
    broker.survey(|identity, entry| {
        if identity.module_id().is_none() {
            devices.push(document(identity, entry));
        }
        if devices.len() < top { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    Ok(Json(devices.into()))
}

async fn list_modules(
    State(broker): Shared,
    Path(device): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, Right::RegistryRead, &["devices", &device, "modules"])?;
    broker.look(&Identity::device(device.as_str()), |_| ())?;
    let mut modules = Vec::new();
    broker.survey(|identity, entry| {
        if identity.device_id() == device && identity.module_id().is_some() {
            modules.push(document(identity, entry));
        }
        ControlFlow::Continue(())
    });
    Ok(Json(modules.into()))
}

async fn read(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
) -> Result<Etagged, HubError> {
    authorize(&broker, &headers, Right::RegistryRead, &target.path("devices"))?;
    answer(&broker, &target.identity())
}

/// Without `If-Match` it creates, with it it updates.
async fn put(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Etagged, HubError> {
    authorize(&broker, &headers, Right::RegistryWrite, &target.path("devices"))?;
    let identity = target.identity();
    let given: Given = json::object(&body)?;
    match if_match(&headers)? {
        None => broker.create(&identity, given.record(&identity)?)?,
        Some(etag) => broker.change(&identity, Some(etag), |record| given.apply(&identity, record))?,
    }
    answer(&broker, &identity)
}

async fn delete(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
) -> Result<StatusCode, HubError> {
    authorize(&broker, &headers, Right::RegistryWrite, &target.path("devices"))?;
    broker.delete(&target.identity(), if_match(&headers)?)?;
    Ok(StatusCode::NO_CONTENT)
}

fn answer(broker: &Broker, identity: &Identity) -> Result<Etagged, HubError> {
    broker.look(identity, |entry| Etagged::new(&entry.record.etag, document(identity, entry)))
}
