//! `api-version`, which every request of the service API names.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::HubError;

/// Lets only requests through that name a version.
pub(super) async fn require(request: Request, next: Next) -> Result<Response, HubError> {
    let query = request.uri().query().unwrap_or_default();
    let named = query.split('&').find_map(|pair| pair.strip_prefix("api-version="));
    match named {
        Some(version) if is_version(version) => Ok(next.run(request).await),
        Some(_) => Err(refuse("api-version is no version of IoT Hub")),
        None => Err(refuse("the query has no api-version")),
    }
}

/// A date such as `2021-04-12`, or a preview such as `2020-05-31-preview`. The versions differ in
/// nothing that this hub has.
fn is_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    let parts: Vec<&str> = date.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [4, 2, 2] && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}

fn refuse(rule: &str) -> HubError {
    HubError::new(400_001, "InvalidProtocolVersion", rule)
}
