//! What a request says in another way than its method and path do.

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, Method, Request, Uri};

/// A client that cannot send PATCH, such as Java's own, sends POST with this.
const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// The service API, which takes a slash at the end of a path for none. A blob's name may end in one.
const SERVICE: [&str; 4] = ["/devices/", "/twins/", "/digitaltwins/", "/statistics/"];

/// The request that is meant.
pub(super) fn as_meant<B>(mut request: Request<B>) -> Request<B> {
    if request.method() == Method::POST
        && request
            .headers()
            .get(OVERRIDE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"PATCH"))
    {
        *request.method_mut() = Method::PATCH;
    }
    if let Some(uri) = without_last_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn without_last_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/')?;
    if !SERVICE.iter().any(|service| uri.path().starts_with(service)) {
        return None;
    }
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}
