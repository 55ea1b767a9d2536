//! Digital twins: the view that IoT Plug and Play has of a device.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::methods::timeouts;
use super::{Etagged, Shared, if_match};
use crate::auth::Right;
use crate::broker::Broker;
use crate::digital_twin;
use crate::error::HubError;
use crate::https::json;
use crate::https::refusal::authorize;
use crate::identity::Identity;

const COMMAND_STATUS: HeaderName = HeaderName::from_static("x-ms-command-statuscode");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new()
        .route("/digitaltwins/{device}", get(read).patch(change))
        .route("/digitaltwins/{device}/commands/{command}", post(call))
        .route("/digitaltwins/{device}/components/{component}/commands/{command}", post(call))
}

async fn read(
    State(broker): Shared,
    Path(device): Path<String>,
    headers: HeaderMap,
) -> Result<Etagged, HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &["digitaltwins", &device])?;
    let twin = broker.twin(&Identity::device(device))?;
    Ok(Etagged::new(etag(&twin), digital_twin::view(&twin)))
}

async fn change(
    State(broker): Shared,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &["digitaltwins", &device])?;
    let operations: Value = json::any(&body)?;
    let desired = digital_twin::desired(&operations).map_err(HubError::argument)?;
    let change = Map::from_iter([("properties".to_owned(), json!({ "desired": desired }))]);
    let location = format!("/digitaltwins/{device}");
    let twin = broker.update_twin(&Identity::device(device), &change, false, if_match(&headers)?)?;
    let etag = format!("\"{}\"", etag(&twin));
    Ok((StatusCode::ACCEPTED, [(header::ETAG, etag), (header::LOCATION, location)]).into_response())
}

fn etag(twin: &Value) -> &str {
    twin["etag"].as_str().unwrap_or_default()
}

/// A command of the device, or of one of its components.
#[derive(Deserialize)]
struct Command {
    device: String,
    component: Option<String>,
    command: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Patience {
    connect_timeout_in_seconds: Option<u64>,
    response_timeout_in_seconds: Option<u64>,
}

async fn call(
    State(broker): Shared,
    Path(command): Path<Command>,
    Query(patience): Query<Patience>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &["digitaltwins", &command.device])?;
    let (connect, response) =
        timeouts(patience.connect_timeout_in_seconds, patience.response_timeout_in_seconds)?;
    let payload: Option<Value> = match body.trim_ascii() {
        b"" => None,
        body => Some(json::any(body)?),
    };
    let name = match &command.component {
        Some(component) => format!("{component}*{}", command.command),
        None => command.command,
    };
    let device = Identity::device(command.device);
    let (status, answer) = broker.call_method(&device, &name, payload.as_ref(), connect, response).await?;
    let known = [(COMMAND_STATUS, status.to_string()), (REQUEST_ID, uuid::Uuid::new_v4().to_string())];
    Ok((known, Json(answer)).into_response())
}
