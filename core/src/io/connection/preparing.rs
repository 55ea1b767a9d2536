//! What an attempt needs and may block for: credentials made by somebody else, and a TLS handshake that
//! signs through a callback. Both run on the client's helper thread.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Connection, Endpoint, Phase};
use crate::io::aside::{Panicked, Task};
use crate::io::cause::{Cause, Fault, Retry};
use crate::io::dial::Dial;
use crate::io::greeting::{Greet, Greeting};
use crate::io::wire::Wire;

/// Credentials are being made, for this attempt or the next connection.
pub(super) struct Proving {
    /// `None` while the helper is still busy for an earlier attempt.
    task: Option<Task<Result<Greeting, Fault>>>,
    since: Instant,
    pub(super) until: Instant,
}

/// TLS is coming up on the helper thread.
pub(super) struct Securing {
    task: Task<Result<Wire, Fault>>,
    /// Taken once the wire has come back.
    socket: Option<Arc<OwnedFd>>,
    pub(super) until: Instant,
}

impl Drop for Securing {
    /// Nobody waits for this handshake: its thread sees the end, and so does the peer, although a
    /// callback that hangs keeps the socket open.
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
    }
}

const TLS_SIGNER: &str = "the TLS signer";

impl Connection {
    /// Starts an attempt to connect.
    pub(super) fn attempt(&mut self, now: Instant) {
        let until = now + self.endpoint.connect_timeout;
        if self.made.is_some() {
            self.dial(until, now);
        } else if let Some(mut ahead) = self.ahead.take() {
            // Begun for a renewal, before which the connection ended.
            ahead.until = until;
            self.phase = Phase::Proving(ahead);
        } else if matches!(self.greet, Greet::Aside { .. }) || self.aside.is_busy() {
            self.phase = Phase::Proving(Box::new(Proving { task: None, since: now, until }));
        } else {
            self.dial(until, now);
        }
    }

    /// Has the connection end once its credentials have served. Those that may take their time, or fail,
    /// are made before: meanwhile this connection serves on. Returns whether there is something to write.
    pub(super) fn renew(&mut self, now: Instant) -> bool {
        let Phase::Open(open) = &mut self.phase else { return false };
        let session = &self.shared.session;
        if open.hurry(session, now) {
            return true;
        }
        let Greet::Aside { what, make } = &self.greet else {
            let served = open.has_served(now);
            if served {
                open.begin_renewal(session, now);
            }
            return served;
        };
        let failed = if open.has_served(now) {
            open.renew_at = None;
            let make = Arc::clone(make);
            match self.aside.start(move || make()) {
                Ok(task) => {
                    let until = now + self.endpoint.connect_timeout;
                    self.ahead = Some(Box::new(Proving { task: Some(task), since: now, until }));
                    None
                }
                Err(error) => Some(no_helper(&error).detail),
            }
        } else {
            let Some(ahead) = &self.ahead else { return false };
            match ahead.task.as_ref().and_then(Task::outcome) {
                None if now < ahead.until => return false,
                None => Some(format!("{what} did not answer in time")),
                Some(Err(Panicked)) => Some(format!("{what} panicked")),
                Some(Ok(Err(fault))) => Some(fault.detail),
                Some(Ok(Ok(made))) => {
                    self.made = Some((Box::new(made), ahead.since));
                    self.ahead = None;
                    // An application that says goodbye needs no renewal.
                    let renews = open.ending.is_none();
                    if renews {
                        open.begin_renewal(session, now);
                    }
                    return renews;
                }
            }
        };
        if let Some(text) = failed {
            // What there is serves on; when the hub ends that, the application is told.
            log::warn!("{}: no fresh credentials: {text}", self.endpoint.host);
            self.ahead = None;
            let wait = self.backoff.clone().next(Retry::Slow, &mut self.rng);
            open.renew_at = wait.map(|wait| now + wait);
        }
        false
    }

    fn dial(&mut self, until: Instant, now: Instant) {
        let shared = Arc::clone(&self.shared);
        let wake = Arc::new(move || shared.wake_always());
        let timeout = until.saturating_duration_since(now);
        let Endpoint { host, port, via, .. } = &self.endpoint;
        let dial = Dial::start(host, *port, via, timeout, now, wake);
        self.phase = Phase::Dialing(Box::new(dial), until);
    }

    pub(super) fn prove(&mut self, now: Instant) -> Result<bool, Fault> {
        let Phase::Proving(proving) = &mut self.phase else { return Ok(false) };
        let until = proving.until;
        let what = match &self.greet {
            Greet::Aside { what, .. } => what,
            Greet::Now(_) => TLS_SIGNER,
        };
        let Some(task) = &proving.task else {
            if self.aside.is_busy() {
                if now < until {
                    return self.let_time_pass(now);
                }
                let text = format!("{what} has not come back from the call for an earlier attempt");
                return Err(Fault::new(Cause::Authentication, text));
            }
            let Greet::Aside { make, .. } = &self.greet else {
                self.dial(until, now);
                return Ok(true);
            };
            let make = Arc::clone(make);
            let started = self.aside.start(move || make());
            proving.task = Some(started.map_err(|error| no_helper(&error))?);
            proving.since = now;
            return Ok(true);
        };
        match task.outcome() {
            None if now < until => self.let_time_pass(now),
            None => {
                let text = format!("{what} did not answer within {:?}", self.endpoint.connect_timeout);
                Err(Fault::new(Cause::Authentication, text))
            }
            Some(Err(Panicked)) => Err(Fault::new(Cause::Authentication, format!("{what} panicked"))),
            Some(Ok(made)) => {
                self.made = Some((Box::new(made?), proving.since));
                self.dial(until, now);
                Ok(true)
            }
        }
    }

    pub(super) fn start_to_secure(
        &mut self,
        mut wire: Wire,
        socket: Arc<OwnedFd>,
        until: Instant,
    ) -> Result<(), Fault> {
        if let Some(signs) = &self.endpoint.signing {
            // A callback that panicked has left it set.
            signs.store(false, Ordering::Release);
        }
        let started = self.aside.start(move || wire.secure(until).map(|()| wire));
        let task = started.map_err(|error| no_helper(&error))?;
        self.phase = Phase::Securing(Box::new(Securing { task, socket: Some(socket), until }));
        Ok(())
    }

    pub(super) fn secure(&mut self, now: Instant) -> Result<bool, Fault> {
        let Phase::Securing(securing) = &mut self.phase else { return Ok(false) };
        let until = securing.until;
        match securing.task.outcome() {
            None if now < until => self.let_time_pass(now),
            None => {
                let signs = self.endpoint.signing.as_ref().is_some_and(|signs| signs.load(Ordering::Acquire));
                let timeout = self.endpoint.connect_timeout;
                Err(if signs {
                    let text = format!("{TLS_SIGNER} did not answer within {timeout:?}");
                    Fault::new(Cause::Authentication, text)
                } else {
                    let (host, port) = (&self.endpoint.host, self.endpoint.port);
                    let text = format!("{host}:{port}: the TLS handshake did not end within {timeout:?}");
                    Fault::new(Cause::ConnectTimeout, text)
                })
            }
            Some(Err(Panicked)) => Err(Fault::new(Cause::Authentication, format!("{TLS_SIGNER} panicked"))),
            Some(Ok(wire)) => {
                let wire = wire?;
                securing.socket = None;
                self.say_hello(wire, until, now)?;
                Ok(true)
            }
        }
    }
}

fn no_helper(error: &std::io::Error) -> Fault {
    Fault::new(Cause::Network, format!("the helper thread for the credentials did not start: {error}"))
}
