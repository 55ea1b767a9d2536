//! IoT Hub's service API, one file for each kind of resource.

mod digital_twins;
mod messages;
mod methods;
mod twins;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::Deserialize;

use crate::broker::Broker;
use crate::error::HubError;
use crate::identity::Identity;

type Shared = State<Arc<Broker>>;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new()
        .merge(digital_twins::router())
        .merge(messages::router())
        .merge(methods::router())
        .merge(twins::router())
}

/// The device or module that a path names.
#[derive(Deserialize)]
struct Target {
    device: String,
    module: Option<String>,
}

impl Target {
    fn identity(self) -> Identity {
        match self.module {
            Some(module) => Identity::module(self.device, module),
            None => Identity::device(self.device),
        }
    }
}

fn if_match(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok())
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, HubError> {
    serde_json::from_slice(body).map_err(|e| HubError::argument(format!("the body: {e}")))
}
