//! One open connection: a byte carrier, TLS over it, and what passes between them and a session.
//!
//! It never blocks and never waits. The host calls `read` when the carrier is readable, `write`
//! when there is something to write, `timer` at `deadline`, and waits for `want` in between.

mod handshake;

use std::fmt;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::carrier::{Carrier, Queues, READ_SIZE};
use super::cause::{Cause, Fault};
use super::interest::Interest;
use crate::mqtt::{self, Session};

/// Reads and writes of one turn, so that one busy client does not keep a thread for itself.
const ROUNDS: usize = 8;

pub struct Wire {
    carrier: Carrier,
    tls: Option<Box<ClientConnection>>,
    /// Decrypted, not yet a whole packet.
    incoming: BytesMut,
    /// From the session, not yet encrypted or sent.
    outgoing: BytesMut,
    /// The carrier took no more; since when it has taken nothing.
    write_blocked: Option<Instant>,
    read_blocked: bool,
    stall_timeout: Duration,
    /// The code of a CONNACK that refused this connection.
    refused: Option<u8>,
    /// `host:port`, for people.
    peer: String,
}

/// What has been decrypted and what has not been encrypted yet hold passwords and payloads.
impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("peer", &self.peer)
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}

/// What a poisoned lock guards is sound: nothing that can panic runs under it half-way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    /// `peer` names the other end in errors. `stall_timeout` is how long the carrier may refuse every byte while some wait to go.
    pub fn new(
        carrier: Carrier,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        stall_timeout: Duration,
        peer: String,
    ) -> Result<Self, Fault> {
        let tls = match tls {
            Some((config, name)) => {
                let connection = ClientConnection::new(config, name).map_err(|e| Fault::tls(&peer, &e))?;
                Some(Box::new(connection))
            }
            None => None,
        };
        Ok(Self {
            carrier,
            tls,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            write_blocked: None,
            read_blocked: false,
            stall_timeout,
            refused: None,
            peer,
        })
    }

    pub fn queues(&mut self) -> Option<&mut Queues> {
        match &mut self.carrier {
            Carrier::Queues(queues) => Some(queues),
            Carrier::Socket(_) | Carrier::Borrowed(_) => None,
        }
    }

    pub fn socket(&self) -> Option<&Arc<OwnedFd>> {
        match &self.carrier {
            Carrier::Socket(socket) => Some(socket),
            Carrier::Borrowed(_) | Carrier::Queues(_) => None,
        }
    }

    /// The code of the CONNACK that refused this connection (MQTT 3.1.1 table 3.1).
    pub fn refused(&self) -> Option<u8> {
        self.refused
    }

    /// Whether TLS has verified the peer, or there is no TLS.
    pub fn is_secured(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// Reads what is there and gives the session its packets. Returns whether there may be more.
    pub fn read<T>(&mut self, session: &Mutex<Session<T>>, now: Instant) -> Result<bool, Fault> {
        self.read_blocked = false;
        let mut scratch = [MaybeUninit::<u8>::uninit(); READ_SIZE];
        for _ in 0..ROUNDS {
            let mut taken = BytesMut::new();
            let received = match self.carrier.receive(&mut scratch, &mut taken) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.read_blocked = true;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Fault::io(&self.peer, &error)),
            };
            let mut ended = received.is_empty();
            // A socket that gave less than it could has no more now.
            self.read_blocked = received.len() < READ_SIZE;
            match &mut self.tls {
                Some(tls) => match decrypt(tls, received, &mut self.incoming) {
                    Ok(closed) => ended |= closed,
                    Err(fault) => {
                        // The alert that says what was wrong, if it can leave at once.
                        let _ = tls.write_tls(&mut self.carrier);
                        return Err(Fault::tls(&self.peer, &fault));
                    }
                },
                None => self.incoming.extend_from_slice(received),
            }
            let mut session = lock(session);
            if !self.incoming.is_empty() || !ended {
                session.alive(now);
                session.input(&mut self.incoming, now).map_err(|e| self.broken(e))?;
            }
            if ended {
                return Err(self.ended(&session));
            }
            if self.read_blocked {
                break;
            }
        }
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
        }
        Ok(!self.read_blocked)
    }

    /// What may have come stays in the carrier for now.
    pub(crate) fn postpone_read(&mut self) {
        self.read_blocked = false;
    }

    /// Writes what the session has, one batch a round. Returns whether there may be more. It does not
    /// read, except what came before the carrier failed.
    pub fn write<T>(&mut self, session: &Mutex<Session<T>>, now: Instant) -> Result<bool, Fault> {
        for _ in 0..ROUNDS {
            match self.flush(now) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(self.lost(session, now, &error)),
            }
            if self.outgoing.is_empty() {
                let mut session = lock(session);
                session.output(&mut self.outgoing, now);
                if self.outgoing.is_empty() {
                    session.flushed(now);
                    self.outgoing = BytesMut::new();
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Returns whether everything has left.
    fn flush(&mut self, now: Instant) -> io::Result<bool> {
        loop {
            let sent = match &mut self.tls {
                Some(tls) => {
                    if tls.wants_write() {
                        tls.write_tls(&mut self.carrier)
                    } else if self.outgoing.is_empty() || tls.is_handshaking() {
                        self.write_blocked = None;
                        return Ok(self.outgoing.is_empty());
                    } else {
                        let taken = tls.writer().write(&self.outgoing)?;
                        self.outgoing.advance(taken);
                        continue;
                    }
                }
                None if self.outgoing.is_empty() => {
                    self.write_blocked = None;
                    return Ok(true);
                }
                None => self.carrier.write(&self.outgoing).inspect(|sent| self.outgoing.advance(*sent)),
            };
            match sent {
                Ok(_) => self.write_blocked = None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.write_blocked.get_or_insert(now);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the session's clocks and the carrier's stall call for.
    pub fn timer<T>(&mut self, session: &Mutex<Session<T>>, now: Instant) -> Result<(), Fault> {
        lock(session).timer(now).map_err(|e| self.broken(e))?;
        match self.write_blocked {
            Some(since) if now >= since + self.stall_timeout => Err(Fault {
                cause: Cause::KeepAlive,
                detail: format!("{}: no byte could be sent for {:?}", self.peer, self.stall_timeout),
            }),
            _ => Ok(()),
        }
    }

    pub fn want<T>(&self, session: &Mutex<Session<T>>) -> Interest {
        let write = self.write_blocked.is_some() || self.has_output(&lock(session));
        Interest { read: true, write }
    }

    /// Whether `write` would move something if the carrier took it.
    pub(crate) fn has_output<T>(&self, session: &Session<T>) -> bool {
        match &self.tls {
            Some(tls) if tls.is_handshaking() => tls.wants_write(),
            Some(tls) => tls.wants_write() || !self.outgoing.is_empty() || session.has_output(),
            None => !self.outgoing.is_empty() || session.has_output(),
        }
    }

    /// Whether the carrier has refused bytes or had none to give: wait for it then.
    pub(crate) fn blocked(&self) -> Interest {
        Interest { read: self.read_blocked, write: self.write_blocked.is_some() }
    }

    pub fn deadline<T>(&self, session: &Mutex<Session<T>>) -> Option<Instant> {
        let stall = self.write_blocked.map(|since| since + self.stall_timeout);
        [stall, lock(session).deadline()].into_iter().flatten().min()
    }

    /// Tells the peer that no more will come, as far as that can be said without waiting.
    pub fn shut(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // Best effort: the connection ends whether or not the alert leaves.
            let _ = tls.write_tls(&mut self.carrier);
        }
        if let Carrier::Socket(socket) = &self.carrier {
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
        }
    }

    /// The carrier takes no more. What the peer had said by then counts: acknowledgements, and why it left.
    fn lost<T>(&mut self, session: &Mutex<Session<T>>, now: Instant, error: &io::Error) -> Fault {
        loop {
            match self.read(session, now) {
                Ok(true) => {}
                Err(fault) if !matches!(fault.cause, Cause::ClosedByHub | Cause::ConnectionReset) => {
                    return fault;
                }
                _ => return Fault::io(&self.peer, error),
            }
        }
    }

    fn broken(&mut self, fault: mqtt::Fault) -> Fault {
        if let mqtt::Fault::Refused(code) = fault {
            self.refused = Some(code);
        }
        let peer = &self.peer;
        match fault {
            mqtt::Fault::KeepAlive => Fault::new(Cause::KeepAlive, format!("{peer}: no answer to a ping")),
            mqtt::Fault::Protocol(what) => Fault::new(Cause::Protocol, format!("{peer} sent {what}")),
            mqtt::Fault::Refused(code) => {
                let (cause, text) = match code {
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
                };
                Fault::new(cause, format!("{peer} refused the connection (CONNACK {code}): {text}"))
            }
        }
    }

    fn ended<T>(&self, session: &Session<T>) -> Fault {
        let when = match session.state() {
            _ if !self.is_secured() => "during the TLS handshake",
            mqtt::State::Handshake => "before it answered CONNECT",
            _ => "without a reason, as it does for a broken rule, a limit or another connection with this id",
        };
        Fault { cause: Cause::ClosedByHub, detail: format!("{}: closed by the peer {when}", self.peer) }
    }
}

/// Appends what `received` holds to `plain`. Returns whether the peer has said goodbye: what it
/// sends after that counts for nothing, and rustls would not take it.
fn decrypt(
    tls: &mut ClientConnection,
    mut received: &[u8],
    plain: &mut BytesMut,
) -> Result<bool, rustls::Error> {
    while !received.is_empty() {
        // Reading from a slice fails only when a buffer of rustls is full, and each is emptied below.
        if tls.read_tls(&mut received).is_err() {
            return Err(rustls::Error::General("a TLS buffer is full".into()));
        }
        let state = tls.process_new_packets()?;
        let left = state.plaintext_bytes_to_read();
        if left > 0 {
            let start = plain.len();
            plain.resize(start + left, 0);
            let read = tls.reader().read(&mut plain[start..]).unwrap_or(0);
            plain.truncate(start + read);
        }
        if state.peer_has_closed() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
