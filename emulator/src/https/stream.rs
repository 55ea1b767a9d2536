//! The events as server-sent events. A reader that is slow or asleep holds nothing up and no memory:
//! it reads from the one history of the hub, and what that has lost meanwhile is counted to it.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::broker::Broker;
use crate::events::EventBus;
use crate::time::now_text;

/// About as much as is written at once.
const MAX_BATCH: usize = 256 * 1024;
/// How often a quiet stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(super) struct Resume {
    /// As the header `Last-Event-ID`, which a page cannot set.
    after: Option<String>,
}

pub(super) async fn events(
    State(broker): State<Arc<Broker>>,
    Query(resume): Query<Resume>,
    headers: HeaderMap,
) -> Response {
    answer(broker.events.clone(), resume, &headers)
}

/// The events of a bus, from now on or from where the reader has been.
pub(super) fn answer(events: Arc<EventBus>, resume: Resume, headers: &HeaderMap) -> Response {
    let seen = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let newest = events.follow();
    let now = *newest.borrow();
    let mut opening = "retry: 1000\n\n".to_owned();
    let seen = seen.or(resume.after).map(|id| position(&events, &id));
    if let Some(None) = seen {
        // Another hub's, most likely one that stopped: nobody knows what came in between.
        write_event(&mut opening, events.run(), now, &lost(None));
    }
    let reader = Reader { events, newest, seen: seen.flatten().unwrap_or(now), opening: Some(opening) };
    let stream = unfold(reader, async |mut reader| Some((reader.next().await?, reader)));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(stream)).into_response()
}

/// The id of the event `number`, which says of which hub.
pub(super) fn event_id(events: &EventBus, number: u64) -> String {
    format!("{}-{number}", events.run())
}

fn position(events: &EventBus, id: &str) -> Option<u64> {
    // From the start, of whichever hub: what is not kept of it any more is counted as lost.
    if id == "0" {
        return Some(0);
    }
    let (run, number) = id.rsplit_once('-')?;
    number.parse().ok().filter(|_| run == events.run())
}

struct Reader {
    events: Arc<EventBus>,
    newest: watch::Receiver<u64>,
    seen: u64,
    opening: Option<String>,
}

impl Reader {
    /// What comes next; `None` when the hub has ended.
    async fn next(&mut self) -> Option<Result<Bytes, Infallible>> {
        if let Some(opening) = self.opening.take() {
            return Some(Ok(opening.into()));
        }
        loop {
            // Marked first: what comes after this look wakes the wait below.
            self.newest.borrow_and_update();
            let events = &self.events;
            let batch = events.after(self.seen, MAX_BATCH);
            if let Some((last, _)) = batch.lines.last() {
                let mut text = String::new();
                if batch.lost > 0 {
                    write_event(&mut text, events.run(), self.seen + batch.lost, &lost(Some(batch.lost)));
                }
                for (number, line) in &batch.lines {
                    write_event(&mut text, events.run(), *number, line);
                }
                self.seen = *last;
                return Some(Ok(text.into()));
            }
            match tokio::time::timeout(KEEP_ALIVE, self.newest.changed()).await {
                Err(_) => return Some(Ok(Bytes::from_static(b":\n\n"))),
                Ok(Err(_)) => return None,
                Ok(Ok(())) => {}
            }
        }
    }
}

/// Tells a reader that it has missed events, how many where that is known.
fn lost(count: Option<u64>) -> String {
    let event = json!({
        "event": "lost",
        "time": now_text(),
        "device": Value::Null,
        "module": Value::Null,
        "count": count,
    });
    event.to_string()
}

/// A line of JSON has no line feed, so that one field carries it.
fn write_event(text: &mut String, run: &str, number: u64, line: &str) {
    // Writing to a String does not fail.
    let _ = write!(text, "id: {run}-{number}\ndata: {line}\n\n");
}
