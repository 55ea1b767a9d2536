//! What only a local hub offers: its events as they happen, and faults on demand.
//! No token is asked for; the port is for the machine's own users.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::error::HubError;
use crate::faults::Fault;

pub(super) async fn events(
    State(broker): State<Arc<Broker>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = unfold(broker.events.lines(), async |mut lines| {
        let line = lines.recv().await?;
        Some((Ok(Event::default().data(&*line)), lines))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

pub(super) async fn fault(State(broker): State<Arc<Broker>>, body: Bytes) -> Result<Json<Value>, HubError> {
    let fault: Fault =
        serde_json::from_slice(&body).map_err(|e| HubError::argument(format!("the body: {e}")))?;
    let reached = broker.fault(&fault)?;
    Ok(Json(json!({ "reached": reached })))
}
