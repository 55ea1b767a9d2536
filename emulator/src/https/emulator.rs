//! What only a local hub offers: what it knows at a glance, and faults on demand. No token is asked
//! for, one is given; `guard` says to whom.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::json;
use super::stream::event_id;
use crate::broker::Broker;
use crate::error::HubError;
use crate::faults::{Fault, FaultKind};
use crate::identity::Identity;
use crate::time::unix_now;

/// Seconds that a token of [`token`] is good for.
const TOKEN_LIFE: u64 = 600;

/// Every identity, who came and went lately, and the event that this is the state after.
pub(super) async fn devices(State(broker): State<Arc<Broker>>) -> impl IntoResponse {
    // From here on, so that the reader can go on with the events after this one.
    let _ = broker.events.follow();
    let (last, operations, devices) = broker.overview();
    let operations: Vec<Value> =
        operations.iter().filter_map(|(_, line)| serde_json::from_str(line).ok()).collect();
    let answer = json!({
        "hub": broker.authority.name(),
        "version": env!("CARGO_PKG_VERSION"),
        "last_event": event_id(&broker.events, last),
        "devices": devices,
        "operations": operations,
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer))
}

/// A token for the service API that is good for a few minutes.
pub(super) async fn token(State(broker): State<Arc<Broker>>) -> Result<impl IntoResponse, HubError> {
    let expires = unix_now() + TOKEN_LIFE;
    let token = broker.authority.owner_token(expires);
    let token = token.ok_or_else(|| HubError::new(500_001, "ServerError", "the hub has no owner"))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "token": token, "expires": expires }))))
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// `DEVICE` or `DEVICE/MODULE`.
    id: String,
}

pub(super) async fn connection_string(
    State(broker): State<Arc<Broker>>,
    Query(Wanted { id }): Query<Wanted>,
) -> Result<impl IntoResponse, HubError> {
    let identity = Identity::parse(&id);
    let text = broker.connection_string(&identity).ok_or_else(|| HubError::not_found(&identity))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "connection_string": text }))))
}

pub(super) async fn fault(State(broker): State<Arc<Broker>>, body: Bytes) -> Result<Json<Value>, HubError> {
    let fault: Fault = json::object(&body)?;
    let (reached, waiting) = broker.fault(&fault)?;
    Ok(Json(json!({ "reached": reached, "waiting": waiting })))
}

/// The faults that there are with what goes with each, and those that wait.
pub(super) async fn faults(State(broker): State<Arc<Broker>>) -> impl IntoResponse {
    let waiting = broker.waiting_faults(Instant::now());
    let answer = json!({ "kinds": FaultKind::described(), "waiting": waiting });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer))
}

/// Forgets the faults that wait; what has begun on a connection goes on.
pub(super) async fn disarm(State(broker): State<Arc<Broker>>) -> StatusCode {
    broker.disarm_faults();
    StatusCode::NO_CONTENT
}
