//! The endpoints of message routing that are read as event streams: the same JSON as the hub's
//! own events.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use super::stream::{self, Resume};
use crate::broker::Broker;
use crate::error::HubError;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new().route("/emulator/endpoints/{name}", get(endpoint))
}

async fn endpoint(
    State(broker): State<Arc<Broker>>,
    Path(name): Path<String>,
    Query(resume): Query<Resume>,
    headers: HeaderMap,
) -> Result<Response, HubError> {
    let unknown = || HubError::new(404_000, "NotFound", format!("there is no event stream '{name}'"));
    let events = broker.routing.stream(&name).ok_or_else(unknown)?;
    Ok(stream::answer(events, resume, &headers))
}
