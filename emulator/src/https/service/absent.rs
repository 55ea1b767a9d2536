//! What IoT Hub has and this hub does not: a clear answer instead of «not found».

use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use axum::routing::any;

use crate::broker::Broker;
use crate::error::HubError;

const PATHS: [&str; 6] = [
    "/configurations",
    "/configurations/{*rest}",
    "/devices/{device}/applyConfigurationContent",
    "/jobs",
    "/jobs/{*rest}",
    "/messages/events",
];

pub(super) fn router() -> Router<Arc<Broker>> {
    PATHS.iter().fold(Router::new(), |router, path| router.route(path, any(not_implemented)))
}

async fn not_implemented(uri: Uri) -> HubError {
    let text = format!("the local hub has no configurations or jobs: {}", uri.path());
    HubError::new(501_000, "NotImplemented", text)
}
