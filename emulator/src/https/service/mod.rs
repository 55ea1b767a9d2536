//! IoT Hub's service API, one file for each kind of resource.

mod absent;
mod bulk;
mod digital_twins;
mod identities;
mod messages;
mod methods;
mod notices;
mod purge;
mod query;
mod registry;
mod statistics;
mod twins;
mod version;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use serde_json::Value;

use crate::broker::Broker;
use crate::error::HubError;
use crate::https::refusal::in_form;
use crate::identity::Identity;

type Shared = State<Arc<Broker>>;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new()
        .merge(absent::router())
        .merge(bulk::router())
        .merge(digital_twins::router())
        .merge(methods::router())
        .merge(notices::router())
        .merge(purge::router())
        .merge(query::router())
        .merge(registry::router())
        .merge(statistics::router())
        .merge(twins::router())
        .layer(middleware::from_fn(version::require))
        // Not IoT Hub's own, and called by hand.
        .merge(messages::router())
        .layer(middleware::map_response(in_form))
}

/// The device or module that a path names.
#[derive(Deserialize)]
struct Target {
    device: String,
    module: Option<String>,
}

impl Target {
    fn identity(&self) -> Identity {
        match &self.module {
            Some(module) => Identity::module(self.device.as_str(), module.as_str()),
            None => Identity::device(self.device.as_str()),
        }
    }

    /// What a token has to cover.
    fn path<'a>(&'a self, collection: &'static str) -> Vec<&'a str> {
        let mut path = vec![collection, &self.device];
        if let Some(module) = &self.module {
            path.extend(["modules", module]);
        }
        path
    }
}

/// A document with its etag in the header too.
struct Etagged(String, Value);

impl Etagged {
    fn new(etag: &str, document: Value) -> Self {
        Self(format!("\"{etag}\""), document)
    }
}

impl IntoResponse for Etagged {
    fn into_response(self) -> Response {
        ([(header::ETAG, self.0)], Json(self.1)).into_response()
    }
}

/// One that cannot be read is refused: without it a change would be made whatever is there.
fn if_match(headers: &HeaderMap) -> Result<Option<&str>, HubError> {
    let given = headers.get(header::IF_MATCH).map(|value| value.to_str());
    given.transpose().map_err(|_| HubError::argument("If-Match must have visible characters of ASCII"))
}
