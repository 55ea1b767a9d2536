//! Who may use what asks for no token: the page and `/emulator/`.
//!
//! It is for people and programs of this machine, or of the network that the hub was told to listen
//! on, and not for web sites that such a person has open. A site can send requests from the
//! person's browser; it is known by the headers that the browser adds and a script cannot forge.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::websocket;
use crate::auth::Authority;
use crate::broker::Broker;
use crate::error::HubError;

/// Refuses what another site has made a browser send.
pub(super) async fn own_site_only(
    State(broker): State<Arc<Broker>>,
    request: Request,
    next: Next,
) -> Response {
    if request.headers().contains_key(header::SEC_WEBSOCKET_KEY) {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        return websocket::elsewhere(State(broker), uri, headers).await.into_response();
    }
    if let Err(rule) = check(&broker.authority, request.method(), request.headers()) {
        return HubError::new(403_000, "Forbidden", rule).into_response();
    }
    // A form cannot send this type.
    if request.method() == Method::POST && !is_json(request.headers()) {
        let rule = "the Content-Type must be application/json";
        return HubError::new(415_000, "UnsupportedMediaType", rule).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

fn check(authority: &Authority, method: &Method, headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text("host").unwrap_or_default();
    // A name of another site may be made to resolve to this address, an address may not.
    if !is_address(without_port(host)) && !authority.is_host(without_port(host)) {
        return Err("the Host header must be an address or one of the hub's names; --name gives it one");
    }
    if text("origin").is_some_and(|origin| origin.strip_prefix("https://") != Some(host)) {
        return Err("the request comes from another web site");
    }
    // Following a link to the page is no harm: its answer stays out of the other site's reach.
    let follows_a_link = method == Method::GET
        && text("sec-fetch-mode") == Some("navigate")
        && text("sec-fetch-dest") == Some("document");
    let own = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    if !own && !follows_a_link {
        return Err("the request comes from another web site");
    }
    Ok(())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderName;

    use super::*;
    use crate::chain::Roots;

    fn allowed(method: Method, headers: &[(&str, &str)]) -> bool {
        let authority = Authority {
            hosts: vec!["hub.test".into(), "localhost".into()],
            policies: vec![],
            roots: Roots::default(),
            tokens: (&crate::settings::Settings::default()).into(),
        };
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        });
        check(&authority, &method, &headers.collect()).is_ok()
    }

    #[test]
    fn the_host_is_the_hubs_own() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8443", true),
            ("hub.test:1", true),
            ("127.0.0.1:8443", true),
            ("192.168.1.7", true),
            ("[::1]:8443", true),
            ("[::1]", true),
            ("evil.test", false),
            ("localhost.evil.test:8443", false),
            ("127.0.0.1.evil.test", false),
            ("evil.test:localhost", false),
            ("", false),
        ] {
            assert_eq!(allowed(Method::GET, &[("host", host)]), expected, "{host}");
        }
        assert!(!allowed(Method::GET, &[]));
    }

    #[test]
    fn other_sites_are_refused() {
        let host = ("host", "localhost:8443");
        for (headers, expected) in [
            (vec![("origin", "https://localhost:8443")], true),
            (vec![("origin", "https://localhost:8444")], false),
            (vec![("origin", "http://localhost:8443")], false),
            (vec![("origin", "https://evil.test")], false),
            (vec![("origin", "null")], false),
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], false),
            (
                vec![
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
                true,
            ),
            (
                vec![
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "iframe"),
                ],
                false,
            ),
        ] {
            let all = [vec![host], headers].concat();
            assert_eq!(allowed(Method::GET, &all), expected, "{all:?}");
        }
    }

    #[test]
    fn a_form_cannot_post() {
        for (kind, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("text/plain; application/json", false),
        ] {
            let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect();
            assert_eq!(is_json(&headers), expected, "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
