//! The queue of messages to a device, and what became of them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::refusal::authorize;

pub(super) fn router() -> Router<Arc<Broker>> {
    // IoT Hub does not mind the case here, and its documents have both.
    let feedback = |name: &str| {
        Router::new()
            .route(&format!("/messages/{name}/feedback"), get(receive))
            .route(&format!("/messages/{name}/feedback/{{token}}"), delete(complete))
            .route(&format!("/messages/{name}/feedback/{{token}}/abandon"), post(abandon))
    };
    Router::new()
        .route("/devices/{device}/commands", delete(purge))
        .merge(feedback("serviceBound"))
        .merge(feedback("servicebound"))
}

async fn purge(
    State(broker): Shared,
    Path(device): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &["devices", &device, "commands"])?;
    let purged = broker.purge(&device)?;
    Ok(Json(json!({ "deviceId": device, "moduleId": null, "totalMessagesPurged": purged })))
}

/// One batch, as what waits is: a back-end that polls has no use for IoT Hub's delay.
async fn receive(State(broker): Shared, headers: HeaderMap) -> Result<Response, HubError> {
    authorize_feedback(&broker, &headers)?;
    let Some((token, batch)) = broker.receive_feedback() else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let user = broker.authority.hosts.first().cloned().unwrap_or_default();
    let headers = [
        (header::ETAG.as_str(), format!("\"{token}\"")),
        (header::CONTENT_TYPE.as_str(), "application/vnd.microsoft.iothub.feedback.json".to_owned()),
        ("iothub-messageid", token),
        ("iothub-sequencenumber", batch.sequence.to_string()),
        ("iothub-enqueuedtime", batch.enqueued),
        ("iothub-deliverycount", batch.deliveries.to_string()),
        ("iothub-userid", user),
    ];
    Ok((headers, batch.records.to_string()).into_response())
}

/// With `?reject` too: there is no queue of rejected feedback.
async fn complete(
    State(broker): Shared,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, HubError> {
    authorize_feedback(&broker, &headers)?;
    broker.complete_feedback(&token)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn abandon(
    State(broker): Shared,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, HubError> {
    authorize_feedback(&broker, &headers)?;
    broker.abandon_feedback(&token)?;
    Ok(StatusCode::NO_CONTENT)
}

fn authorize_feedback(broker: &Broker, headers: &HeaderMap) -> Result<(), HubError> {
    authorize(broker, headers, Right::ServiceConnect, &["messages", "serviceBound", "feedback"])
}
