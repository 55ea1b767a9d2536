//! Twins of devices and modules.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::get;

use serde_json::{Map, Value};

use super::{Etagged, Shared, Target, if_match};
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::json;
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
    let change: Map<String, Value> = json::object(body)?;
    check_effect(&change)?;
    broker.update_twin(&target.identity(), &change, replace, if_match(headers)?).map(answer)
}

/// What only the hub writes: it may come back, and changes nothing. The SDK for Java sends two more
/// than a GET shows.
const SHOWN: [&str; 21] = [
    "authenticationType",
    "capabilities",
    "cloudToDeviceMessageCount",
    "configurations",
    "connectionState",
    "connectionStateUpdatedTime",
    "deviceEtag",
    "deviceId",
    "deviceScope",
    "etag",
    "generationId",
    "lastActivityTime",
    "modelId",
    "moduleId",
    "parentScopes",
    "status",
    "statusReason",
    "statusUpdateTime",
    "statusUpdatedTime",
    "version",
    "x509Thumbprint",
];

/// Refuses what looks like a change and is none, such as `desired` outside of `properties`.
fn check_effect(change: &Map<String, Value>) -> Result<(), HubError> {
    let properties = change.get("properties").and_then(Value::as_object);
    let unknown = change
        .keys()
        .find(|name| !["properties", "tags"].contains(&name.as_str()) && !SHOWN.contains(&name.as_str()))
        .or_else(|| {
            let mut names = properties?.keys();
            names.find(|name| !["desired", "reported"].contains(&name.as_str()))
        });
    if let Some(name) = unknown {
        let rule = "a twin has tags, properties.desired and what the hub writes";
        return Err(HubError::argument(format!("{name} is no part of a twin: {rule}")));
    }
    let changes = change.contains_key("tags") || properties.is_some_and(|p| p.contains_key("desired"));
    if !changes && !change.is_empty() {
        let rule = "only tags and properties.desired can be changed, and neither is there";
        return Err(HubError::argument(rule));
    }
    Ok(())
}

fn answer(twin: Value) -> Etagged {
    let etag = twin["etag"].as_str().unwrap_or_default().to_owned();
    Etagged::new(&etag, twin)
}
