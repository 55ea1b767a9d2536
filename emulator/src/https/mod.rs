//! The HTTPS port: what a back-end uses, what tests and people use, and MQTT over WebSocket.

mod edge;
mod emulator;
mod endpoints;
mod guard;
mod page;
mod refusal;
mod service;
mod stream;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Extension, Router};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::broker::Broker;
use crate::chain::Shown;

pub(crate) fn router(broker: Arc<Broker>) -> Router {
    Router::new()
        .merge(service::router())
        .merge(own_site(broker.clone()))
        .route(websocket::PATH, get(websocket::upgrade))
        .method_not_allowed_fallback(refusal::method)
        .fallback(websocket::elsewhere)
        .with_state(broker)
}

/// What asks for no token.
fn own_site(broker: Arc<Broker>) -> Router<Arc<Broker>> {
    Router::new()
        .merge(page::router())
        .merge(endpoints::router())
        .route("/emulator/events", get(stream::events))
        .route("/emulator/devices", get(emulator::devices))
        .route("/emulator/connection_string", get(emulator::connection_string))
        .route("/emulator/token", get(emulator::token))
        .route("/emulator/faults", get(emulator::faults).post(emulator::fault).delete(emulator::disarm))
        .route_layer(from_fn_with_state(broker, guard::own_site_only))
}

/// Serves one connection; what goes wrong on it concerns nobody else.
pub(crate) async fn serve(socket: TcpStream, tls: TlsAcceptor, router: Router, deadline: Duration) {
    let Ok(Ok(stream)) = tokio::time::timeout(deadline, tls.accept(socket)).await else {
        return;
    };
    let certificate = websocket::Certificate(Shown::by_peer(&stream));
    let router = router.layer(Extension(certificate));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades()
        .await;
}
