//! The HTTPS port: what a back-end uses, what tests and people use, and MQTT over WebSocket.

mod blobs;
mod edge;
mod emulator;
mod endpoints;
mod files;
mod guard;
mod json;
mod page;
mod patience;
mod reading;
mod refusal;
mod service;
mod stream;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{from_fn_with_state, map_request};
use axum::routing::get;
use axum::{Extension, Router};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::broker::Broker;
use crate::chain::Shown;

use patience::{Patient, hurried};

pub(crate) fn router(broker: Arc<Broker>) -> Router {
    let patience = broker.settings.connect_deadline;
    Router::new()
        .merge(service::router())
        .merge(own_site(broker.clone()))
        .merge(files::router())
        .merge(blobs::router())
        .route(websocket::PATH, get(websocket::upgrade))
        .route(websocket::PATH_OF_JAVA, get(websocket::upgrade))
        .method_not_allowed_fallback(refusal::method)
        .fallback(websocket::elsewhere)
        .layer(map_request(move |request: Request| async move { hurried(request, patience) }))
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

/// What the head of a request may take, and what is read of its body at a time.
const MAX_HEAD: usize = 64 * 1024;

/// Serves one connection; what goes wrong on it concerns nobody else. The peer may take `patience`
/// for the head of each request, which the time since the last one counts to, for
/// its body, and before it reads on.
pub(crate) async fn serve(stream: Box<TlsStream<TcpStream>>, router: Router, patience: Duration) {
    let certificate = websocket::Certificate(Shown::by_peer(&stream));
    // Routes are chosen by what is meant, so that this comes before the router.
    let router = TowerToHyperService::new(router.layer(Extension(certificate)));
    let service = service_fn(move |request| router.call(reading::as_meant(request)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, patience)), service)
        .with_upgrades();
    let _ = Box::pin(connection).await;
}
