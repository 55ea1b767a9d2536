//! An open connection: from the greeting to its end.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_tcp_user_timeout;

use super::{Connection, Endpoint, Open, Phase};
use crate::completion::Completion;
use crate::io::carrier::Carrier;
use crate::io::cause::{Cause, Fault};
use crate::io::greeting::Greeting;
use crate::io::shared::Shared;
use crate::io::wire::{Wire, lock};
use crate::mqtt::{Drain, Session, State};

/// A renewal waits this long for what is in flight.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(10);
/// After a DISCONNECT the peer has this long to close the connection.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

impl Connection {
    pub(super) fn open(
        &mut self,
        socket: Arc<OwnedFd>,
        greeted_by: Instant,
        now: Instant,
    ) -> Result<(), Fault> {
        let fresh = self.made.as_mut().and_then(|(made, _)| made.tls.take());
        if let (Some(fresh), Some((config, _))) = (fresh, &mut self.endpoint.tls) {
            // Kept, so that the next connection with the same files finds it and its sessions.
            *config = fresh;
        }
        let Endpoint { host, port, tls, websocket, stall_timeout, .. } = &self.endpoint;
        let limit = self.endpoint.unacknowledged_timeout.as_millis();
        // Finds a dead peer also while its bytes are held back, when no answer to a ping can be seen. A
        // system without it finds him once they are not.
        let _ = set_tcp_user_timeout(&socket, u32::try_from(limit).unwrap_or(u32::MAX));
        let peer = format!("{host}:{port}");
        let mut wire = Wire::new(Carrier::Socket(Arc::clone(&socket)), tls.clone(), *stall_timeout, peer)?;
        if let Some(path) = websocket {
            wire.upgrade(host, *port, path)?;
        }
        if self.endpoint.signing.is_some() {
            self.start_to_secure(wire, socket, greeted_by)
        } else {
            self.say_hello(wire, greeted_by, now)
        }
    }

    pub(super) fn say_hello(&mut self, wire: Wire, greeted_by: Instant, now: Instant) -> Result<(), Fault> {
        let (greeting, asked) = match self.made.take() {
            Some((made, asked)) => (*made, asked),
            None => (self.greet.make()?, now),
        };
        let Greeting { connect, renew_after, doubt, .. } = greeting;
        lock(&self.shared.session)
            .start(&connect, now)
            .map_err(|error| Fault::new(Cause::Configuration, error.detail()))?;
        self.phase = Phase::Open(Box::new(Open {
            wire,
            greeted_by,
            up_since: None,
            renew_at: renew_after.map(|after| asked + after),
            ending: None,
            drain_until: None,
            leave_by: None,
            doubt,
        }));
        Ok(())
    }

    pub(super) fn serve(&mut self, readable: bool, now: Instant) -> Result<bool, Fault> {
        let Phase::Open(open) = &mut self.phase else { return Ok(false) };
        let shared = Arc::clone(&self.shared);
        let session = &shared.session;
        let mut served = open.exchange(&shared, readable, now);
        if served.is_ok() && open.up_since.is_none() && now >= open.greeted_by {
            let stage = open.wire.awaits();
            let Endpoint { host, port, connect_timeout, .. } = &self.endpoint;
            let detail = format!("{host}:{port}: {stage} within {connect_timeout:?}");
            served = Err(Fault::new(Cause::ConnectTimeout, detail));
        }
        self.collect(now);
        let Phase::Open(open) = &mut self.phase else { return Ok(false) };
        let finished = lock(session).state() == State::Finished;
        match (served, open.ending) {
            // The peer may close first once it has the DISCONNECT.
            (Err(_), Some(cause)) if finished => Err(Fault::new(cause, farewell(cause))),
            (Err(fault), _) => Err(fault),
            (Ok(more), Some(cause)) if finished && !open.wire.has_output(&lock(session)) => {
                // Closing with unread bytes would be a reset, which can overtake the DISCONNECT.
                let leave_by = open.leave_by.get_or_insert_with(|| {
                    open.wire.shut();
                    now + GOODBYE
                });
                if now < *leave_by {
                    return Ok(more);
                }
                Err(Fault::new(cause, farewell(cause)))
            }
            (Ok(more), _) => Ok(self.renew(now) || more),
        }
    }
}

/// Why this side has ended the connection.
fn farewell(cause: Cause) -> &'static str {
    match cause {
        Cause::Renewed => "reconnecting with fresh credentials",
        _ => "closed by the application",
    }
}

impl Open {
    /// Reads, looks at the clock, writes.
    pub(super) fn exchange(&mut self, shared: &Shared, readable: bool, now: Instant) -> Result<bool, Fault> {
        let session = &shared.session;
        let unread = if shared.strand.is_full() {
            // Not reading is our choice, and no sign of a dead peer. Pings still leave: the system
            // tells when they reach nobody.
            lock(session).alive(now);
            self.wire.postpone_read();
            false
        } else {
            readable && self.wire.read(session, now)?
        };
        self.wire.timer(session, now)?;
        let unwritten = self.wire.write(session, now)?;
        Ok(unread || unwritten)
    }

    /// Whether the credentials of this connection have served.
    pub(super) fn has_served(&self, now: Instant) -> bool {
        self.ending.is_none() && self.up_since.is_some() && self.renew_at.is_some_and(|at| now >= at)
    }

    /// Lets the connection end for fresh credentials.
    pub(super) fn begin_renewal(&mut self, session: &Mutex<Session<Completion>>, now: Instant) {
        lock(session).disconnect(Drain::InFlight);
        self.ending = Some(Cause::Renewed);
        self.drain_until = Some(now + RENEWAL_PATIENCE);
    }

    /// Ends a renewal that takes too long. Returns whether there is something to write for it.
    pub(super) fn hurry(&mut self, session: &Mutex<Session<Completion>>, now: Instant) -> bool {
        let late = self.drain_until.is_some_and(|until| now >= until);
        if late {
            lock(session).disconnect(Drain::Now);
            self.drain_until = None;
        }
        late
    }
}
