//! One open connection: a byte carrier, TLS over it, perhaps a WebSocket in that, and what passes between
//! them and a session.
//!
//! It never blocks and never waits. The host calls `read` when the carrier is readable, `write`
//! when there is something to write, `timer` at `deadline`, and waits for `want` in between.

mod decrypt;
mod faults;
mod handshake;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
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
use super::websocket::{Ending, WebSocket};
use crate::mqtt::Session;
use decrypt::decrypt;

/// Reads and writes of one turn, so that one busy client does not keep a thread for itself.
const ROUNDS: usize = 8;

pub struct Wire {
    carrier: Carrier,
    tls: Option<Box<ClientConnection>>,
    websocket: Option<Box<WebSocket>>,
    /// Decrypted and out of its frames, not yet a whole packet.
    incoming: BytesMut,
    /// From the session or the WebSocket, in its frame, not yet encrypted or sent.
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
            websocket: None,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            write_blocked: None,
            read_blocked: false,
            stall_timeout,
            refused: None,
            peer,
        })
    }

    /// Puts the session's bytes into a WebSocket at `path` of a host, before any has passed.
    pub(super) fn upgrade(&mut self, host: &str, port: u16, path: &str) -> Result<(), Fault> {
        let (websocket, request) =
            WebSocket::new(host, port, path).map_err(|error| Fault::io(&self.peer, &error))?;
        self.outgoing.extend_from_slice(request.as_bytes());
        self.websocket = Some(Box::new(websocket));
        Ok(())
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

    pub(super) fn tls(&self) -> Option<&ClientConnection> {
        self.tls.as_deref()
    }

    /// What the clock of a WebSocket's server said, in seconds since 1970, once it has answered the upgrade.
    pub(super) fn server_time(&self) -> Option<u64> {
        self.websocket.as_ref().and_then(|websocket| websocket.server_time())
    }

    /// Whether the session's bytes may pass.
    pub(super) fn is_open(&self) -> bool {
        self.is_secured() && self.websocket.as_ref().is_none_or(|websocket| websocket.is_open())
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
            let mut ending = None;
            match self.unwrap(received, &mut ending) {
                Ok(closed) => ended |= closed,
                Err(fault) => {
                    if let Some(tls) = &mut self.tls {
                        // The alert that says what was wrong, if it can leave at once.
                        let _ = tls.write_tls(&mut self.carrier);
                    }
                    return Err(Fault::tls(&self.peer, &fault));
                }
            }
            let mut session = lock(session);
            if !self.incoming.is_empty() || !ended {
                session.alive(now);
                session.input(&mut self.incoming, now).map_err(|e| self.broken(e))?;
            }
            if let Some(ending) = ending {
                let fault = self.ending(ending, &session);
                drop(session);
                self.say_goodbye(true, now);
                return Err(fault);
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

    /// Appends what is in `received` to what came before. Returns whether the peer has said goodbye in
    /// TLS.
    fn unwrap(&mut self, received: &[u8], ending: &mut Option<Ending>) -> Result<bool, rustls::Error> {
        let mut frames = BytesMut::new();
        let plain = if self.websocket.is_some() { &mut frames } else { &mut self.incoming };
        let closed = match &mut self.tls {
            Some(tls) => decrypt(tls, received, plain)?,
            None => {
                plain.extend_from_slice(received);
                false
            }
        };
        if let Some(websocket) = &mut self.websocket {
            *ending = websocket.receive(&frames, &mut self.incoming).err();
        }
        Ok(closed)
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
            if self.outgoing.is_empty() && !self.fill(session, now).map_err(|e| Fault::io(&self.peer, &e))? {
                self.outgoing = BytesMut::new();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the next batch. Returns whether there was one.
    fn fill<T>(&mut self, session: &Mutex<Session<T>>, now: Instant) -> io::Result<bool> {
        let Self { websocket, outgoing, .. } = self;
        if let Some(websocket) = websocket {
            if !websocket.is_open() {
                return Ok(false);
            }
            if websocket.has_control() {
                websocket.write_control(outgoing)?;
                return Ok(true);
            }
        }
        let mut session = lock(session);
        if websocket.is_none() {
            session.output(outgoing, now);
        } else if session.has_output() {
            WebSocket::write_data(outgoing, |out| session.output(out, now))?;
        }
        if outgoing.is_empty() {
            session.flushed(now);
        }
        Ok(!outgoing.is_empty())
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
        let more = match &self.websocket {
            Some(websocket) => websocket.has_control() || websocket.is_open() && session.has_output(),
            None => session.has_output(),
        };
        match &self.tls {
            Some(tls) if tls.is_handshaking() => tls.wants_write(),
            Some(tls) => tls.wants_write() || !self.outgoing.is_empty() || more,
            None => !self.outgoing.is_empty() || more,
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
        self.say_goodbye(false, Instant::now());
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // Best effort: the connection ends whether or not the alert leaves.
            let _ = tls.write_tls(&mut self.carrier);
        }
        if let Carrier::Socket(socket) = &self.carrier {
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
        }
    }

    /// The WebSocket's last frame, if it can leave at once.
    fn say_goodbye(&mut self, broken: bool, now: Instant) {
        if let Some(websocket) = &mut self.websocket {
            websocket.close(broken);
            if websocket.write_control(&mut self.outgoing).is_ok() {
                let _ = self.flush(now);
            }
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
}
