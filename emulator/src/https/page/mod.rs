//! The page for people, at `/`. It asks for nothing that is not in this program.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::broker::Broker;

/// Nothing from elsewhere, nothing inline, no frame around it, and no way for a script to make
/// markup out of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! assets {
    ($($path:literal $kind:literal $file:literal)*) => {
        [$(Asset { path: $path, kind: $kind, body: include_str!($file) }),*]
    };
}

const ASSETS: [Asset; 15] = assets! {
    "/" "text/html; charset=utf-8" "index.html"
    "/emulator/page/style.css" "text/css; charset=utf-8" "style.css"
    "/emulator/page/icon.svg" "image/svg+xml" "icon.svg"
    "/emulator/page/main.js" "text/javascript; charset=utf-8" "main.js"
    "/emulator/page/dom.js" "text/javascript; charset=utf-8" "dom.js"
    "/emulator/page/json.js" "text/javascript; charset=utf-8" "json.js"
    "/emulator/page/hub.js" "text/javascript; charset=utf-8" "hub.js"
    "/emulator/page/stream.js" "text/javascript; charset=utf-8" "stream.js"
    "/emulator/page/devices.js" "text/javascript; charset=utf-8" "devices.js"
    "/emulator/page/feed.js" "text/javascript; charset=utf-8" "feed.js"
    "/emulator/page/twin.js" "text/javascript; charset=utf-8" "twin.js"
    "/emulator/page/message.js" "text/javascript; charset=utf-8" "message.js"
    "/emulator/page/method.js" "text/javascript; charset=utf-8" "method.js"
    "/emulator/page/identity.js" "text/javascript; charset=utf-8" "identity.js"
    "/emulator/page/faults.js" "text/javascript; charset=utf-8" "faults.js"
};

#[derive(Debug, Clone, Copy)]
struct Asset {
    path: &'static str,
    kind: &'static str,
    body: &'static str,
}

pub(super) fn router() -> Router<Arc<Broker>> {
    ASSETS.into_iter().fold(Router::new(), |router, asset| {
        let etag = etag(asset.body);
        router.route(asset.path, get(async move |headers: HeaderMap| asset.answer(&etag, &headers)))
    })
}

impl Asset {
    fn answer(self, etag: &str, headers: &HeaderMap) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let known = known.is_some_and(|known| known.split(',').any(|one| one.trim() == etag));
        // Kept, and asked for again each time: another version of the hub may serve the port.
        let cached = [(header::ETAG, etag), (header::CACHE_CONTROL, "no-cache")];
        if known {
            return (StatusCode::NOT_MODIFIED, cached).into_response();
        }
        let guarded = [
            (header::CONTENT_TYPE, self.kind),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        (cached, guarded, self.body).into_response()
    }
}

fn etag(body: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let start = digest.as_ref().iter().take(12).map(|byte| format!("{byte:02x}"));
    format!("\"{}\"", start.collect::<String>())
}
