//! Keeps one client connected: dials, greets, serves the connection, waits, and does it again.
//!
//! It never waits itself. A host calls [`Connection::turn`] whenever the socket of
//! [`Connection::socket`] is ready, the deadline has come, or the client was woken.

mod ending;
mod preparing;
#[cfg(test)]
mod preparing_tests;
mod serving;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use self::preparing::{Proving, Securing};
use super::aside::Aside;
use super::backoff::Backoff;
use super::cause::{Cause, Fault};
use super::dial::{Dial, Step};
use super::dispatch::Job;
use super::greeting::{Greet, Greeting};
use super::hub_link::HubLink;
use super::interest::Interest;
use super::received::Received;
use super::shared::Shared;
use super::via::Via;
use super::wire::{Wire, lock};
use crate::completion::{Answer, Completion};
use crate::hub::Doubt;
use crate::mqtt::{Drain, Event, State};
use crate::status::{ConnectionState, Status};

/// Where to connect, and how patiently.
pub(crate) struct Endpoint {
    pub host: String,
    pub port: u16,
    pub via: Via,
    /// `None` is plain TCP.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The path of the WebSocket that carries MQTT.
    pub websocket: Option<String>,
    /// From the first step of an attempt to the CONNACK.
    pub connect_timeout: Duration,
    pub stall_timeout: Duration,
    /// TLS signs through a callback, which runs while this is set: the handshake is for the helper thread.
    pub signing: Option<Arc<AtomicBool>>,
    /// What has left and is not acknowledged for so long, by TCP, has met a dead peer.
    pub unacknowledged_timeout: Duration,
    pub backoff: Backoff,
}

enum Phase {
    Idle,
    Waiting(Instant),
    Proving(Box<Proving>),
    Dialing(Box<Dial>, Instant),
    Securing(Box<Securing>),
    Open(Box<Open>),
    /// The client has ended; its last bytes are on their way.
    Leaving(Box<Open>, Instant),
    Ended,
}

struct Open {
    wire: Wire,
    /// The CONNACK has to come before it.
    greeted_by: Instant,
    up_since: Option<Instant>,
    renew_at: Option<Instant>,
    /// The cause, once this side has decided to end the connection.
    ending: Option<Cause>,
    drain_until: Option<Instant>,
    /// DISCONNECT has left: when to stop waiting for the peer to close.
    leave_by: Option<Instant>,
    doubt: Option<Doubt>,
}

pub(crate) struct Connection {
    endpoint: Endpoint,
    greet: Greet,
    shared: Arc<Shared>,
    backoff: Backoff,
    rng: fastrand::Rng,
    phase: Phase,
    /// For what may block.
    aside: Aside,
    /// Being made for the next connection while this one serves.
    ahead: Option<Box<Proving>>,
    /// Made ahead of the next connection, and when it was asked for.
    made: Option<(Box<Greeting>, Instant)>,
    /// The completion of `connect`, until the first success or refusal.
    connecting: Option<Completion>,
    jobs: VecDeque<Job>,
    events: VecDeque<Event<Completion>>,
    /// Connections in a row that the hub ended soon after it had accepted them.
    expelled: u32,
}

impl Connection {
    pub(super) fn new(endpoint: Endpoint, greet: Greet, shared: Arc<Shared>) -> Self {
        let woken = Arc::clone(&shared);
        Self {
            backoff: endpoint.backoff.clone(),
            endpoint,
            greet,
            shared,
            rng: fastrand::Rng::new(),
            phase: Phase::Idle,
            aside: Aside::new(Arc::new(move || woken.wake_always())),
            ahead: None,
            made: None,
            connecting: None,
            jobs: VecDeque::new(),
            events: VecDeque::new(),
            expelled: 0,
        }
    }

    /// Does all that can be done now. `readable` allows to read from the socket. Returns whether
    /// there is more to do at once.
    pub(super) fn turn(&mut self, readable: bool, now: Instant) -> bool {
        self.obey(now);
        let more = match self.advance(readable, now) {
            Ok(more) => more,
            Err(fault) => {
                self.disconnected(fault, now);
                false
            }
        };
        self.close_if_done(now);
        self.shared.strand.push(&mut self.jobs);
        more
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The socket to wait for, and for what.
    pub(super) fn socket(&self) -> Option<(&Arc<OwnedFd>, Interest)> {
        match &self.phase {
            Phase::Dialing(dial, _) => dial.want(),
            Phase::Open(open) | Phase::Leaving(open, _) => {
                let blocked = open.wire.blocked();
                let interest = Interest { read: !self.shared.strand.is_full(), write: blocked.write };
                open.wire.socket().map(|socket| (socket, interest))
            }
            _ => None,
        }
    }

    /// What the last turn found the socket not ready for.
    pub(super) fn blocked(&self) -> Interest {
        match &self.phase {
            Phase::Open(open) | Phase::Leaving(open, _) => open.wire.blocked(),
            _ => Interest { read: true, write: true },
        }
    }

    /// Whether a turn would do something without the socket or the clock.
    pub(super) fn has_work(&self) -> bool {
        if lock(&self.shared.orders).fresh {
            return true;
        }
        if !self.shared.strand.is_pooled() && self.shared.strand.has_jobs() {
            return true;
        }
        match &self.phase {
            Phase::Open(open) => {
                !open.wire.blocked().write && open.wire.has_output(&lock(&self.shared.session))
            }
            _ => false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let close = lock(&self.shared.orders).close.as_ref().map(|close| close.until);
        let phase = match &self.phase {
            Phase::Idle | Phase::Ended => lock(&self.shared.session).deadline(),
            Phase::Leaving(_, until) => Some(*until),
            Phase::Waiting(until) => earliest([Some(*until), lock(&self.shared.session).deadline()]),
            Phase::Proving(proving) => earliest([Some(proving.until), lock(&self.shared.session).deadline()]),
            Phase::Securing(securing) => {
                earliest([Some(securing.until), lock(&self.shared.session).deadline()])
            }
            Phase::Dialing(dial, until) => {
                earliest([Some(*until), dial.deadline(), lock(&self.shared.session).deadline()])
            }
            Phase::Open(open) => earliest([
                open.up_since.is_none().then_some(open.greeted_by),
                open.renew_at.filter(|_| open.up_since.is_some() && open.ending.is_none()),
                self.ahead.as_ref().map(|ahead| ahead.until),
                open.drain_until,
                open.leave_by,
                open.wire.deadline(&self.shared.session),
            ]),
        };
        let hub = self.shared.hub.as_ref().and_then(HubLink::deadline);
        earliest([close, phase, hub])
    }

    /// Takes the application's orders.
    fn obey(&mut self, now: Instant) {
        let mut orders = lock(&self.shared.orders);
        orders.fresh = false;
        let connect = orders.connect.take();
        let close = orders.close.as_ref().map(|close| close.until);
        drop(orders);
        if let Some(done) = connect {
            self.connecting = Some(done);
            self.backoff.reset();
            self.say(ConnectionState::Connecting, None, String::new());
            self.phase = Phase::Waiting(now);
        }
        if let (Some(until), Phase::Open(open)) = (close, &mut self.phase) {
            let owed = self.shared.owed();
            let settling = self.shared.strand.is_settling();
            let mut session = lock(&self.shared.session);
            session.work(settling);
            if session.state() == State::Finished {
                // A renewal has said goodbye already: what is queued is for the next connection.
                return;
            }
            let nothing_to_send = open.up_since.is_none() && owed == 0;
            if now >= until || nothing_to_send {
                session.disconnect(Drain::Now);
            } else if open.ending != Some(Cause::ClosedByUs) {
                session.disconnect(Drain::Everything);
            }
            open.ending = Some(Cause::ClosedByUs);
            open.drain_until = None;
            drop(session);
            if let Some(hub) = &self.shared.hub {
                hub.flush(&self.shared.session, now);
            }
        }
    }

    fn advance(&mut self, readable: bool, now: Instant) -> std::result::Result<bool, Fault> {
        match &mut self.phase {
            Phase::Ended => Ok(false),
            Phase::Idle => self.let_time_pass(now),
            Phase::Waiting(until) => {
                if now < *until {
                    return self.let_time_pass(now);
                }
                self.attempt(now);
                Ok(true)
            }
            Phase::Proving(_) => self.prove(now),
            Phase::Securing(_) => self.secure(now),
            Phase::Dialing(dial, until) => {
                let until = *until;
                match dial.step(now) {
                    Step::Wait => self.let_time_pass(now),
                    Step::Connected(socket) => {
                        self.open(socket, until, now)?;
                        Ok(true)
                    }
                    Step::Failed(fault) => Err(fault),
                }
            }
            Phase::Open(_) => self.serve(readable, now),
            Phase::Leaving(open, until) => {
                let until = *until;
                match open.exchange(&self.shared, readable, now) {
                    Ok(more) if now < until => Ok(more),
                    _ => {
                        self.phase = Phase::Ended;
                        Ok(false)
                    }
                }
            }
        }
    }

    /// Messages expire without a connection too.
    fn let_time_pass(&mut self, now: Instant) -> std::result::Result<bool, Fault> {
        // No connection, no ping: only expiries can be due.
        let _ = lock(&self.shared.session).timer(now);
        self.collect(now);
        Ok(false)
    }

    /// Turns what the session says into work for the application.
    fn collect(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        lock(&shared.session).swap_events(&mut self.events);
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            match event {
                Event::Done { tag, outcome, .. } => {
                    if !tag.is_ignored() {
                        self.jobs.push_back(Job::Done(tag, outcome.map(Answer::from)));
                    }
                }
                Event::Message(message) => {
                    let received = match &shared.hub {
                        Some(hub) => hub.hear(message, &shared.session, now, &mut self.jobs),
                        None => Some(Received::Topic(message)),
                    };
                    if let Some(received) = received {
                        self.jobs.push_back(Job::Received(received));
                    }
                }
                Event::Connected { .. } => {
                    if let Phase::Open(open) = &mut self.phase {
                        open.up_since = Some(now);
                    }
                    if let Some(done) = self.connecting.take() {
                        self.jobs.push_back(Job::Done(done, Ok(Answer::Done)));
                    }
                    lock(&shared.counters).connections += 1;
                    self.say(ConnectionState::Connected, None, String::new());
                    if let Some(hub) = &shared.hub {
                        hub.connected(&shared.session, now);
                    }
                }
            }
        }
        self.events = events;
        if let Some(hub) = &shared.hub {
            hub.timer(&shared.session, now, &mut self.jobs);
        }
    }

    fn say(&mut self, state: ConnectionState, cause: Option<Cause>, detail: String) {
        log::debug!("{}: {state:?} {detail}", self.endpoint.host);
        self.jobs.push_back(Job::Status(Status { state, cause, detail }));
    }
}

fn earliest<const N: usize>(times: [Option<Instant>; N]) -> Option<Instant> {
    times.into_iter().flatten().min()
}
