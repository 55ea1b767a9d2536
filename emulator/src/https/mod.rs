//! The HTTPS port: what a back-end uses, what tests and people use, and MQTT over WebSocket.

mod edge;
mod emulator;
mod endpoints;

mod refusal;
mod service;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
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
        .merge(endpoints::router())
        .route("/emulator/events", get(emulator::events))
        .route("/emulator/faults", post(emulator::fault))
        .route(websocket::PATH, get(websocket::upgrade))
        .fallback(websocket::elsewhere)
        .with_state(broker)
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
