//! How a connection ends, and how a client does.

use std::time::{Duration, Instant};

use super::serving::GOODBYE;
use super::{Connection, Phase};
use crate::completion::Answer;
use crate::error::{Error, ErrorKind, Result};
use crate::io::cause::{Cause, Fault, Retry};
use crate::io::dispatch::Job;
use crate::io::wire::lock;
use crate::status::ConnectionState;

/// A connection that the hub ends sooner than this, and without a reason, counts as thrown out.
const SOON: Duration = Duration::from_secs(60);
/// So many times in a row are no accident.
const EXPELLED: u32 = 4;

impl Connection {
    /// MQTT 3.1.1 has no word for it: when another connection takes the place of this one, the hub just
    /// closes it. Two programs with one identity throw each other out again and again.
    fn look_for_rival(&mut self, fault: &mut Fault, now: Instant) {
        let Phase::Open(open) = &self.phase else { return };
        match open.up_since.map(|since| now - since) {
            Some(up) if up >= SOON => self.expelled = 0,
            Some(_) if fault.cause == Cause::ClosedByHub => self.expelled += 1,
            _ => return,
        }
        if self.expelled >= EXPELLED {
            fault.cause = Cause::TakenOver;
            fault.detail = format!(
                "{}; so ended {} connections in a row, each within a minute of its beginning: another program \
                 seems to use the same device or module",
                fault.detail, self.expelled
            );
        }
    }

    pub(super) fn disconnected(&mut self, mut fault: Fault, now: Instant) {
        if let Phase::Open(open) = &mut self.phase
            && fault.cause == Cause::Authentication
            && let Some(doubt) = open.doubt.take()
        {
            fault.detail = format!("{}; {}", fault.detail, doubt.detail);
            if doubt.clock {
                fault.cause = Cause::Clock;
            }
        }
        self.look_for_rival(&mut fault, now);
        lock(&self.shared.session).stop();
        if let Some(hub) = &self.shared.hub {
            hub.disconnected(&self.shared.session, &mut self.jobs);
        }
        let refused = matches!(&self.phase, Phase::Open(open) if open.wire.refused().is_some());
        if let Phase::Open(open) = &self.phase
            && let Some(since) = open.up_since
        {
            self.backoff.ended(now - since);
        }
        self.phase = Phase::Idle;
        if fault.cause != Cause::Renewed {
            // Each attempt proves itself afresh.
            self.made = None;
        }
        self.collect(now);
        if (refused || fault.retry() != Retry::Soon)
            && let Some(done) = self.connecting.take()
        {
            self.jobs.push_back(Job::Done(done, Err(fault.clone().into())));
        }
        let wait = match fault.cause {
            Cause::ClosedByUs => None,
            Cause::Renewed => Some(Duration::ZERO),
            _ => self.backoff.next(fault.retry(), &mut self.rng),
        };
        lock(&self.shared.counters).disconnected(fault.cause);
        let state = if wait.is_some() { ConnectionState::Connecting } else { ConnectionState::Disconnected };
        if let Some(wait) = wait {
            self.phase = Phase::Waiting(now + wait);
        }
        self.say(state, Some(fault.cause), fault.detail);
    }

    /// Ends the client if it was closed and has nothing left to send, or no time.
    pub(super) fn close_if_done(&mut self, now: Instant) {
        let orders = lock(&self.shared.orders);
        let Some(until) = orders.close.as_ref().map(|close| close.until) else { return };
        let owed = self.shared.owed();
        let done = match &self.phase {
            Phase::Leaving(..) | Phase::Ended => return,
            // Before MQTT may pass nothing was said that calls for a goodbye.
            Phase::Open(open) => now >= until || owed == 0 && !open.wire.is_open(),
            Phase::Idle => true,
            Phase::Waiting(_) | Phase::Proving(_) | Phase::Dialing(..) | Phase::Securing(_) => {
                now >= until || owed == 0
            }
        };
        if !done {
            return;
        }
        drop(orders);
        self.end();
    }

    /// Completes everything, and says that nothing follows.
    fn end(&mut self) {
        let mut orders = lock(&self.shared.orders);
        orders.ended = true;
        let (connect, close) = (orders.connect.take(), orders.close.take());
        drop(orders);
        // Whoever waits for the end does not wait for the network: a goodbye leaves without him.
        self.phase = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Open(mut open) => {
                if !open.wire.has_output(&lock(&self.shared.session)) {
                    open.wire.shut();
                }
                Phase::Leaving(open, Instant::now() + GOODBYE)
            }
            _ => Phase::Ended,
        };
        let unfinished = self.shared.owed();
        let mut session = lock(&self.shared.session);
        let messages = session.owed();
        session.stop();
        session.close();
        drop(session);
        lock(&self.shared.counters).dropped += messages as u64;
        self.collect(Instant::now());
        if let Some(hub) = &self.shared.hub {
            hub.close(&mut self.jobs);
        }
        for done in self.connecting.take().into_iter().chain(connect) {
            self.jobs.push_back(Job::Done(done, Err(Error::closed())));
        }
        self.say(ConnectionState::Closed, Some(Cause::ClosedByUs), "closed by the application".into());
        for done in close.into_iter().flat_map(|close| close.done) {
            let result: Result<Answer> = match unfinished {
                0 => Ok(Answer::Done),
                n => Err(Error::new(
                    ErrorKind::Timeout,
                    format!("closed with {n} messages or requests unfinished"),
                )),
            };
            self.jobs.push_back(Job::Done(done, result));
        }
        self.jobs.push_back(Job::End);
    }

    /// Nobody will give it a turn again.
    pub(in crate::io) fn abandon(&mut self) {
        if !lock(&self.shared.orders).ended {
            self.shared.refuse_more();
            self.end();
            self.shared.strand.push(&mut self.jobs);
        }
        self.phase = Phase::Ended;
    }
}
