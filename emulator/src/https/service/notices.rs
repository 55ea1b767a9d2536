//! What back-ends are told: what became of their messages, and which files came.

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
use crate::notices::Received;
use crate::time::milliseconds_text;

struct Kind {
    /// The first is what a token has to cover.
    names: &'static [&'static str],
    content_type: &'static str,
    receive: fn(&Broker) -> Option<(String, Received)>,
    complete: fn(&Broker, &str) -> Result<(), HubError>,
    abandon: fn(&Broker, &str) -> Result<(), HubError>,
}

/// One batch, as what waits is: a back-end that polls has no use for IoT Hub's delay.
static FEEDBACK: Kind = Kind {
    names: &["feedback"],
    content_type: "application/vnd.microsoft.iothub.feedback.json",
    receive: Broker::receive_feedback,
    complete: Broker::complete_feedback,
    abandon: Broker::abandon_feedback,
};

/// IoT Hub's documents name the endpoint, under two names, and give it over AMQP only; it is read
/// here as feedback is.
static FILES: Kind = Kind {
    names: &["filenotifications", "fileuploadnotifications"],
    content_type: "application/vnd.microsoft.iothub.filenotification.json",
    receive: |broker| broker.files.receive_notice(),
    complete: |broker, token| broker.files.complete_notice(token),
    abandon: |broker, token| broker.files.abandon_notice(token),
};

pub(super) fn router() -> Router<Arc<Broker>> {
    let mut router = Router::new();
    for kind in [&FEEDBACK, &FILES] {
        // IoT Hub does not mind the case here, and its documents have both.
        for bound in ["serviceBound", "servicebound"] {
            for name in kind.names {
                let path = format!("/messages/{bound}/{name}");
                router = router
                    .route(&path, get(move |broker, headers| receive(kind, broker, headers)))
                    .route(
                        &format!("{path}/{{token}}"),
                        // With `?reject` too: there is no queue of what was rejected.
                        delete(move |broker, token, headers| {
                            settle(kind, kind.complete, broker, token, headers)
                        }),
                    )
                    .route(
                        &format!("{path}/{{token}}/abandon"),
                        post(move |broker, token, headers| {
                            settle(kind, kind.abandon, broker, token, headers)
                        }),
                    );
            }
        }
    }
    router
}

async fn receive(kind: &Kind, State(broker): Shared, headers: HeaderMap) -> Result<Response, HubError> {
    admit(kind, &broker, &headers)?;
    let Some((token, notice)) = (kind.receive)(&broker) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let user = broker.authority.hosts.first().cloned().unwrap_or_default();
    let headers = [
        (header::ETAG.as_str(), format!("\"{token}\"")),
        (header::CONTENT_TYPE.as_str(), kind.content_type.to_owned()),
        ("iothub-messageid", token),
        ("iothub-sequencenumber", notice.sequence.to_string()),
        ("iothub-enqueuedtime", milliseconds_text(notice.enqueued)),
        ("iothub-deliverycount", notice.deliveries.to_string()),
        ("iothub-userid", user),
    ];
    Ok((headers, notice.document.to_string()).into_response())
}

async fn settle(
    kind: &Kind,
    how: fn(&Broker, &str) -> Result<(), HubError>,
    State(broker): Shared,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, HubError> {
    admit(kind, &broker, &headers)?;
    how(&broker, &token)?;
    Ok(StatusCode::NO_CONTENT)
}

fn admit(kind: &Kind, broker: &Broker, headers: &HeaderMap) -> Result<(), HubError> {
    authorize(broker, headers, Right::ServiceConnect, &["messages", "serviceBound", kind.names[0]])
}
