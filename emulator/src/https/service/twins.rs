//! Twins of devices and modules.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value};

use super::{Shared, Target, parse};
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::refusal::authorize;

pub(super) fn router() -> Router<Arc<Broker>> {
    let twin = || get(read_twin).patch(patch_twin).put(put_twin);
    Router::new().route("/twins/{device}", twin()).route("/twins/{device}/modules/{module}", twin())
}

async fn read_twin(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &["twins", &target.device])?;
    broker.twin(&target.identity()).map(Json)
}

async fn patch_twin(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, HubError> {
    change_twin(&broker, target, &headers, &body, false)
}

async fn put_twin(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, HubError> {
    change_twin(&broker, target, &headers, &body, true)
}

fn change_twin(
    broker: &Broker,
    target: Target,
    headers: &HeaderMap,
    body: &[u8],
    replace: bool,
) -> Result<Json<Value>, HubError> {
    authorize(broker, headers, Right::ServiceConnect, &["twins", &target.device])?;
    let change: Map<String, Value> = parse(body)?;
    let etag = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    broker.update_twin(&target.identity(), &change, replace, etag).map(Json)
}
