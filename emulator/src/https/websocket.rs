//! MQTT over WebSocket: `/$iothub/websocket` with the subprotocol `mqtt`.
//!
//! The frames carry one stream of bytes: a packet may span frames, and a frame hold several.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::broker::Broker;
use crate::broker::connection::{self, Peer};
use crate::chain::Shown;
use crate::error::HubError;
use crate::events::Event;

pub(super) const PATH: &str = "/$iothub/websocket";
/// Where the SDK for Java looks for the provisioning service, which it gives no path: its MQTT library
/// puts this one in.
pub(super) const PATH_OF_JAVA: &str = "/mqtt";
/// The largest message that is read: a client may put several packets into one.
const MAX_READ: usize = 1024 * 1024;
/// Read ahead at a time: each connection holds it for as long as it lives.
const READ_BUFFER: usize = 4 * 1024;
/// The largest frame that is sent.
const MAX_SENT: usize = 64 * 1024;

/// The certificate that the peer showed in its TLS handshake.
#[derive(Debug, Clone)]
pub(super) struct Certificate(pub(super) Option<Shown>);

/// Answers the upgrade and serves the client.
pub(super) async fn upgrade(
    State(broker): State<Arc<Broker>>,
    Extension(Certificate(certificate)): Extension<Certificate>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, HubError> {
    let mut upgrade = upgrade.map_err(|rejection| refuse(&broker, &rejection.body_text()))?;
    // The SDK for C offers upper case; a client expects back what it has offered.
    let offered = upgrade
        .requested_protocols()
        .find(|name| name.as_bytes().eq_ignore_ascii_case(b"mqtt"))
        .cloned()
        .ok_or_else(|| refuse(&broker, "the subprotocol mqtt is not offered"))?;
    upgrade.set_selected_protocol(offered);
    let peer = Peer { certificate, protocol: "websocket", registrant: uri.path() == PATH_OF_JAVA };
    let upgrade = upgrade.read_buffer_size(READ_BUFFER).max_message_size(MAX_READ).max_frame_size(MAX_READ);
    Ok(upgrade.on_upgrade(|socket| connection::serve(Frames::new(socket), peer, broker)))
}

/// Any other path: IoT Hub answers an upgrade there with 400.
pub(super) async fn elsewhere(
    State(broker): State<Arc<Broker>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HubError> {
    if headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        return Err(refuse(&broker, &format!("the path is {} and not {PATH}", uri.path())));
    }
    Err(HubError::new(404_000, "GenericNotFound", format!("there is nothing at {}", uri.path())))
}

fn refuse(broker: &Broker, rule: &str) -> HubError {
    let reason = format!("the WebSocket upgrade: {rule}");
    broker.events.emit(None, || Event::Refused {
        code: "websocket",
        reason: reason.clone(),
        return_code: None,
    });
    HubError::argument(reason)
}

/// The bytes in a WebSocket's binary messages.
struct Frames {
    socket: WebSocket,
    /// Of the message that came last: what was not read yet.
    input: Bytes,
}

impl Frames {
    fn new(socket: WebSocket) -> Self {
        Self { socket, input: Bytes::new() }
    }

    fn socket(self: Pin<&mut Self>) -> Pin<&mut WebSocket> {
        Pin::new(&mut self.get_mut().socket)
    }
}

impl AsyncRead for Frames {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.input.is_empty() {
            match ready!(Pin::new(&mut this.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => this.input = bytes,
                Some(Ok(Message::Text(_))) => {
                    let text = "a text frame, where MQTT goes in binary ones";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                // The socket answers pings and the closing handshake by itself, as it is read on.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.input.len().min(buf.remaining());
        buf.put_slice(&this.input.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().socket().poll_ready(cx)).map_err(io::Error::other)?;
        let count = buf.len().min(MAX_SENT);
        let message = Message::Binary(Bytes::copy_from_slice(&buf[..count]));
        self.socket().start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(cx).map_err(io::Error::other)
    }

    /// Sends a close frame.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_close(cx).map_err(io::Error::other)
    }
}
