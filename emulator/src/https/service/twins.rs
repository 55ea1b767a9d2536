//! Twins of devices and modules.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::get;

use serde_json::{Map, Value};

use super::{Etagged, Shared, Target, if_match, parse};
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
) -> Result<Etagged, HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &target.path("twins"))?;
    broker.twin(&target.identity()).map(answer)
}

async fn patch_twin(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Etagged, HubError> {
    change_twin(&broker, target, &headers, &body, false)
}

async fn put_twin(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Etagged, HubError> {
    change_twin(&broker, target, &headers, &body, true)
}

fn change_twin(
    broker: &Broker,
    target: Target,
    headers: &HeaderMap,
    body: &[u8],
    replace: bool,
) -> Result<Etagged, HubError> {
    authorize(broker, headers, Right::ServiceConnect, &target.path("twins"))?;
    let change: Map<String, Value> = parse(body)?;
    broker.update_twin(&target.identity(), &change, replace, if_match(headers)).map(answer)
}

fn answer(twin: Value) -> Etagged {
    let etag = twin["etag"].as_str().unwrap_or_default().to_owned();
    Etagged::new(&etag, twin)
}
