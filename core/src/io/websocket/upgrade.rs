//! From HTTP to WebSocket (RFC 6455 section 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::Ending;
use crate::hub::date;
use crate::io::cause::Cause;
use crate::io::http_head::Head;

/// RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const SUBPROTOCOL: &str = "mqtt";

/// The wait for the answer.
pub(super) struct Upgrade {
    /// What Sec-WebSocket-Accept has to say.
    accept: String,
    answer: Vec<u8>,
    /// The field Date of the answer, whatever that says.
    pub(super) server_time: Option<u64>,
}

fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

impl Upgrade {
    /// And the request.
    pub(super) fn new(place: &str, path: &str, nonce: [u8; 16]) -> (Self, String) {
        let key = STANDARD.encode(nonce);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {place}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        (Self { accept: accept(&key), answer: Vec::new(), server_time: None }, request)
    }

    /// Once the peer has agreed, what follows its answer; `None` where more has to come.
    pub(super) fn receive<'a>(&mut self, received: &'a [u8]) -> Result<Option<&'a [u8]>, Ending> {
        let before = self.answer.len();
        self.answer.extend_from_slice(received);
        let head = Head::parse(&self.answer).map_err(|what| {
            broken(Cause::Protocol, &format!("sent {what} in place of a WebSocket upgrade"))
        })?;
        let Some(head) = head else { return Ok(None) };
        self.server_time = head.values("date").next().and_then(date::from_http);
        self.check(&head)?;
        Ok(Some(received.get(head.length.saturating_sub(before)..).unwrap_or_default()))
    }

    fn check(&self, head: &Head) -> Result<(), Ending> {
        if head.status != 101 {
            let (cause, why) = refusal(head.status);
            return Err(broken(
                cause,
                &format!("answered the WebSocket upgrade with {}{why}", head.answer()),
            ));
        }
        let accepted = head.values("sec-websocket-accept").eq([self.accept.as_str()]);
        let mut subprotocol = head.values("sec-websocket-protocol");
        let fault = if !head.has("upgrade", "websocket") || !head.has("connection", "upgrade") {
            "without the fields Upgrade and Connection"
        } else if !accepted {
            "with the wrong Sec-WebSocket-Accept: it, or something in between, is no WebSocket server"
        } else if !subprotocol.next().is_some_and(|name| name.eq_ignore_ascii_case(SUBPROTOCOL)) {
            "without the subprotocol mqtt: it does not speak MQTT there"
        } else if subprotocol.next().is_some() || head.values("sec-websocket-extensions").next().is_some() {
            "with a subprotocol or an extension that was not asked for"
        } else {
            return Ok(());
        };
        Err(broken(Cause::Protocol, &format!("agreed to the WebSocket upgrade {fault}")))
    }
}

/// What an answer other than 101 means. The hub looks at no credentials before CONNECT, so who asks
/// for some here, or forbids, is not the part of it that knows devices.
fn refusal(status: u16) -> (Cause, &'static str) {
    match status {
        300..=399 => (Cause::Protocol, ": it points elsewhere, and that is not followed"),
        400 => (Cause::Protocol, ": it does not take this path or the subprotocol mqtt"),
        401 | 403 => (
            Cause::Network,
            ": a firewall, an IP filter or a gateway in front of it refuses; the device's credentials \
             were not asked for yet",
        ),
        404 | 405 | 410 | 426 => (Cause::Protocol, ": there is no WebSocket at this path"),
        407 => (Cause::Proxy, ": a proxy in between asks for credentials"),
        429 => (Cause::Throttled, ""),
        500..=599 => (Cause::Network, ": the service is not available now"),
        _ => (Cause::Protocol, ""),
    }
}

fn broken(cause: Cause, text: &str) -> Ending {
    Ending::Broken(cause, text.to_owned())
}
