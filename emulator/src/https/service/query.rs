//! Queries over twins, page by page.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::Shared;
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::json;
use crate::https::refusal::authorize;
use crate::identity::Identity;
use crate::query::Query;

const MAX_ITEMS: &str = "x-ms-max-item-count";
const CONTINUATION: &str = "x-ms-continuation";
/// Of a page, where the request names no size.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
/// D: the characters of a query. What they can cost is bounded by it, too.
const MAX_QUERY: usize = 8192;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new().route("/devices/query", post(query))
}

#[derive(Deserialize)]
struct Specification {
    query: String,
}

async fn query(State(broker): Shared, headers: HeaderMap, body: Bytes) -> Result<Response, HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &["devices", "query"])?;
    let text = json::object::<Specification>(&body)?.query;
    if text.chars().count() > MAX_QUERY {
        return Err(HubError::argument(format!("the query has more than {MAX_QUERY} characters")));
    }
    let query = Query::parse(&text).map_err(|why| HubError::argument(format!("the query: {why}")))?;
    let size = match header(&headers, MAX_ITEMS) {
        None => PAGE,
        Some(size) => match size.parse() {
            Ok(size @ 1..) => MAX_PAGE.min(size),
            _ => return Err(HubError::argument(format!("{MAX_ITEMS} must be a number from 1"))),
        },
    };
    let rows = query.run(broker.twins(query.collection));
    let start = match header(&headers, CONTINUATION) {
        None => 0,
        Some(token) => Place::read(token)?.find(&rows),
    };
    let end = rows.len().min(start.saturating_add(size));
    let page = rows.get(start..end).unwrap_or_default();
    let kind = if query.is_whole() { "Twin" } else { "Raw" };
    let mut response = ([("x-ms-item-type", kind)], Json(page)).into_response();
    if end < rows.len() {
        let place = Place::after(page, end, query.is_whole());
        let token = place.write().parse().map_err(|_| HubError::new(500_001, "ServerError", "no token"))?;
        response.headers_mut().insert(CONTINUATION, token);
    }
    Ok(response)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

/// Where the next page begins. Twins come in the order of their ids, so that no page repeats or
/// leaves out one because others came or went meanwhile.
enum Place {
    After(Identity),
    Row(usize),
}

impl Place {
    fn after(page: &[Value], end: usize, whole: bool) -> Self {
        match page.last().filter(|_| whole).and_then(identity) {
            Some(identity) => Self::After(identity),
            None => Self::Row(end),
        }
    }

    fn find(&self, rows: &[Value]) -> usize {
        match self {
            Self::Row(row) => *row,
            Self::After(last) => rows
                .iter()
                .position(|row| identity(row).is_some_and(|identity| identity > *last))
                .unwrap_or(rows.len()),
        }
    }

    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Self::After(identity) => format!("after {identity}"),
            Self::Row(row) => format!("row {row}"),
        })
    }

    fn read(token: &str) -> Result<Self, HubError> {
        let foreign = || HubError::argument(format!("{CONTINUATION} is not from this hub"));
        let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match text.as_deref().and_then(|text| text.split_once(' ')) {
            Some(("after", identity)) => Ok(Self::After(Identity::parse(identity))),
            Some(("row", row)) => row.parse().map(Self::Row).map_err(|_| foreign()),
            _ => Err(foreign()),
        }
    }
}

fn identity(twin: &Value) -> Option<Identity> {
    let device = twin["deviceId"].as_str()?;
    Some(match twin["moduleId"].as_str() {
        Some(module) => Identity::module(device, module),
        None => Identity::device(device),
    })
}
