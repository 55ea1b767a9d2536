//! A WebSocket client that is not ours, as a stream of bytes.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes};
use iothub_emulator::Hub;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::handshake::HandshakeError;
use tungstenite::http::{Response, StatusCode};
use tungstenite::{Error, Message};

use super::{Secure, Tls, secure};

pub(crate) const PATH: &str = "/$iothub/websocket";

pub(crate) type Socket = tungstenite::WebSocket<Secure>;
pub(crate) type Answer = Response<Option<Vec<u8>>>;

/// Asks for an upgrade; the refusal's status, or the socket and the hub's answer.
pub(crate) fn upgrade(
    hub: &Hub,
    tls: Tls,
    path: &str,
    subprotocol: Option<&str>,
) -> Result<(Socket, Answer), StatusCode> {
    let mut request = format!("wss://localhost{path}").into_client_request().unwrap();
    if let Some(name) = subprotocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", name.parse().unwrap());
    }
    match tungstenite::client(request, secure(hub, hub.https_address(), tls)) {
        Ok(done) => Ok(done),
        Err(HandshakeError::Failure(Error::Http(response))) => Err(response.status()),
        Err(error) => panic!("neither upgraded nor refused: {error}"),
    }
}

/// Each write is one binary frame.
pub(crate) struct WebSocket {
    socket: Socket,
    input: Bytes,
}

impl WebSocket {
    pub(crate) fn open(hub: &Hub, tls: Tls) -> Self {
        Self { socket: upgrade(hub, tls, PATH, Some("mqtt")).unwrap().0, input: Bytes::new() }
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl Read for WebSocket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.input.is_empty() {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => self.input = bytes,
                Ok(_) => {}
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(0),
                Err(error) => return Err(io_error(error)),
            }
        }
        let count = self.input.len().min(buf.len());
        self.input.copy_to_slice(&mut buf[..count]);
        Ok(count)
    }
}

impl Write for WebSocket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send(Message::Binary(Bytes::copy_from_slice(buf))).map_err(io_error)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush().map_err(io_error)
    }
}
