//! How a connection ends, in words.

use super::Wire;
use crate::io::cause::{Cause, Fault};
use crate::io::websocket::Ending;
use crate::mqtt::{self, Session};

impl Wire {
    pub(super) fn broken(&mut self, fault: mqtt::Fault) -> Fault {
        if let mqtt::Fault::Refused(code) = fault {
            self.refused = Some(code);
        }
        let peer = &self.peer;
        match fault {
            mqtt::Fault::KeepAlive => Fault::new(Cause::KeepAlive, format!("{peer}: no answer to a ping")),
            mqtt::Fault::Protocol(what) => Fault::new(Cause::Protocol, format!("{peer} sent {what}")),
            mqtt::Fault::Refused(code) => {
                let (cause, text) = connack(code);
                Fault::new(cause, format!("{peer} refused the connection (CONNACK {code}): {text}"))
            }
        }
    }

    pub(super) fn ended<T>(&self, session: &Session<T>) -> Fault {
        let when = match session.state() {
            _ if !self.is_secured() => "during the TLS handshake",
            _ if !self.is_open() => "before it answered the WebSocket upgrade",
            mqtt::State::Handshake => "before it answered CONNECT",
            _ => {
                "without a reason, as it does when it restarts, for a broken rule, a limit or another connection with this id"
            }
        };
        Fault { cause: Cause::ClosedByHub, detail: format!("{}: closed by the peer {when}", self.peer) }
    }

    pub(super) fn ending<T>(&self, ending: Ending, session: &Session<T>) -> Fault {
        match ending {
            Ending::Closed(goodbye) => {
                let Fault { cause, detail } = self.ended(session);
                Fault { cause, detail: format!("{detail} (the WebSocket's goodbye says {goodbye})") }
            }
            Ending::Broken(cause, text) => Fault::new(cause, format!("{} {text}", self.peer)),
        }
    }

    /// What has not come that has to come next.
    pub(crate) fn awaits(&self) -> &'static str {
        if !self.is_secured() {
            "the TLS handshake did not end"
        } else if !self.is_open() {
            "no answer to the WebSocket upgrade"
        } else {
            "no CONNACK"
        }
    }
}

/// MQTT 3.1.1 table 3.1.
fn connack(code: u8) -> (Cause, &'static str) {
    match code {
        1 => (Cause::Protocol, "it does not speak MQTT 3.1.1"),
        2 => (Cause::Authentication, "it does not take the client id"),
        3 => (Cause::Network, "the service is not available now"),
        4 => (Cause::Authentication, "it does not take the user name or password"),
        5 => (
            Cause::Authentication,
            "not authorized: the identity is unknown or disabled, or its key, token or password is \
             wrong or out of date",
        ),
        _ => (Cause::Protocol, "an unknown code"),
    }
}
