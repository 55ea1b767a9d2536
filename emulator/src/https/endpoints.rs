//! The endpoints of message routing that are read as event streams: the same JSON as the hub's
//! own events. No token is asked for; the port is for the machine's own users.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream::{Stream, unfold};

use crate::broker::Broker;
use crate::error::HubError;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new().route("/emulator/endpoints/{name}", get(stream))
}

async fn stream(
    State(broker): State<Arc<Broker>>,
    Path(name): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, HubError> {
    let unknown = || HubError::new(404_000, "NotFound", format!("there is no event stream '{name}'"));
    let lines = broker.routing.stream(&name).ok_or_else(unknown)?;
    let stream = unfold(lines, async |mut lines| {
        let line = lines.recv().await?;
        Some((Ok(Event::default().data(&*line)), lines))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}
