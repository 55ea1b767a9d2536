//! What back-ends are told of files that devices have uploaded.
//!
//! IoT Hub's documents name the endpoint and give it over AMQP only; it is read here as feedback is.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use super::Shared;
use crate::auth::Right;
use crate::broker::Broker;
use crate::error::HubError;
use crate::https::refusal::authorize;

pub(super) fn router() -> Router<Arc<Broker>> {
    // The documents have both names, and both cases.
    let mut router = Router::new();
    for bound in ["serviceBound", "servicebound"] {
        for name in ["filenotifications", "fileuploadnotifications"] {
            let path = format!("/messages/{bound}/{name}");
            router = router
                .route(&path, get(receive))
                .route(&format!("{path}/{{token}}"), delete(complete))
                .route(&format!("{path}/{{token}}/abandon"), post(abandon));
        }
    }
    router
}

fn admit(broker: &Broker, headers: &HeaderMap) -> Result<(), HubError> {
    authorize(broker, headers, Right::ServiceConnect, &["messages", "serviceBound", "filenotifications"])
}

async fn receive(State(broker): Shared, headers: HeaderMap) -> Result<Response, HubError> {
    admit(&broker, &headers)?;
    let Some((token, notice)) = broker.files.receive_notice() else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let kind = "application/vnd.microsoft.iothub.filenotification.json";
    let headers = [
        (header::ETAG.as_str(), format!("\"{token}\"")),
        (header::CONTENT_TYPE.as_str(), kind.to_owned()),
        ("iothub-messageid", token),
        ("iothub-sequencenumber", notice.sequence.to_string()),
        ("iothub-deliverycount", notice.deliveries.to_string()),
    ];
    Ok((headers, notice.document.to_string()).into_response())
}

async fn complete(
    State(broker): Shared,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, HubError> {
    admit(&broker, &headers)?;
    broker.files.complete_notice(&token)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn abandon(
    State(broker): Shared,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, HubError> {
    admit(&broker, &headers)?;
    broker.files.abandon_notice(&token)?;
    Ok(StatusCode::NO_CONTENT)
}
