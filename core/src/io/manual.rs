//! The manual host: the application's own loop waits for one descriptor, and calls.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::fdset::{FdSet, Watched, Woken};
use super::shared::Shared;
use super::wire::lock;
use crate::error::{Error, ErrorKind, Result};

/// Turns of one call, so that a busy client leaves its thread to others.
const ROUNDS: usize = 8;

/// Does the I/O of one client, and runs its callbacks, whenever the application's loop calls it.
///
/// There is no thread but that of the caller, except while a host name is looked up. Dropping it ends
/// the client at once: what is pending completes with `Closed`, inside the drop.
pub struct Manual(Arc<Host>);

struct Host {
    set: FdSet,
    shared: Arc<Shared>,
    /// Held for a turn, and never while a callback runs.
    work: Mutex<Work>,
    gate: Mutex<Gate>,
    left: Condvar,
    /// Whoever is inside has to leave: the client is being freed.
    leave: AtomicBool,
}

#[derive(Default)]
struct Gate {
    /// Somebody is inside `process`, or ends the client.
    occupied: bool,
    /// Somebody waits to end the client; waking nobody would cost a system call at each turn.
    awaited: bool,
}

struct Work {
    connection: Connection,
    watched: Watched,
}

impl fmt::Debug for Manual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Manual")
    }
}

impl Drop for Manual {
    fn drop(&mut self) {
        self.0.shared.free();
    }
}

impl Manual {
    pub(crate) fn new(set: FdSet, connection: Connection) -> Self {
        let shared = Arc::clone(connection.shared());
        let host = Arc::new(Host {
            set,
            shared,
            work: Mutex::new(Work { connection, watched: Watched::default() }),
            gate: Mutex::default(),
            left: Condvar::new(),
            leave: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&host);
        host.shared.set_finish(Box::new(move || {
            if let Some(host) = weak.upgrade() {
                host.finish();
            }
        }));
        Self(host)
    }

    /// The descriptor to wait for, the same for the client's whole life: readable exactly when
    /// [`Manual::process`] has something to do. It is an epoll set; only wait for it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.set.fd()
    }

    /// Does what can be done, callbacks included, on this thread, and returns; with nothing to do it
    /// waits for the first event: for up to `timeout`, zero does not wait, `None` has no end. A caught
    /// signal ends the waiting as well.
    ///
    /// # Errors
    /// `State` inside one of the client's callbacks, and while another thread is inside. `Closed` once
    /// the client has ended and everything was delivered.
    pub fn process(&self, timeout: Option<Duration>) -> Result<()> {
        self.0.process(timeout)
    }
}

/// From here on somebody else may come in.
struct Inside<'a>(&'a Host);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut gate = lock(&self.0.gate);
        gate.occupied = false;
        if gate.awaited {
            self.0.left.notify_all();
        }
    }
}

impl Host {
    fn enter(&self) -> Result<Inside<'_>> {
        if std::mem::replace(&mut lock(&self.gate).occupied, true) {
            let text = if self.shared.strand.is_inside() {
                "process: called inside a callback of the same client"
            } else {
                "process: another thread is inside"
            };
            return Err(Error::new(ErrorKind::State, text));
        }
        Ok(Inside(self))
    }

    fn process(&self, timeout: Option<Duration>) -> Result<()> {
        if self.leave.load(Ordering::SeqCst) {
            return Err(self.over());
        }
        let _inside = self.enter()?;
        if self.is_over() {
            return Err(self.over());
        }
        let mut readable = match self.set.wait(timeout)? {
            Woken::Not => return Ok(()),
            Woken::Socket => true,
            Woken::Otherwise => false,
        };
        self.shared.stay_awake();
        for _ in 0..ROUNDS {
            let Some(more) = self.turn(readable) else { return Err(self.over()) };
            self.shared.strand.run_unless_pooled();
            if self.is_over() {
                return Err(self.over());
            }
            if !more && self.rest() {
                return Ok(());
            }
            readable = more;
        }
        // The others of the loop have their turn in between.
        self.rest();
        self.ring();
        Ok(())
    }

    /// Has the descriptor be readable.
    fn ring(&self) {
        self.shared.fall_asleep();
        self.shared.wake();
    }

    /// `None`: the client is being freed, and what is left is not for this thread.
    fn turn(&self, readable: bool) -> Option<bool> {
        let mut work = lock(&self.work);
        if self.leave.load(Ordering::SeqCst) {
            return None;
        }
        let turned = catch_unwind(AssertUnwindSafe(|| work.connection.turn(readable, Instant::now())));
        Some(turned.unwrap_or_else(|panic| {
            // What waits for the client learns that it is over, at the next call.
            work.connection.abandon();
            drop(work);
            self.ring();
            resume_unwind(panic)
        }))
    }

    /// Has the descriptor say when there is something to do. Returns whether there is nothing now.
    fn rest(&self) -> bool {
        let Work { connection, watched } = &mut *lock(&self.work);
        self.set.watch(watched, connection.socket());
        self.shared.fall_asleep();
        // After that, and before the deadline is read: what comes in between is not lost.
        if connection.has_work() {
            self.shared.stay_awake();
            return false;
        }
        self.set.arm(watched, connection.deadline(), Instant::now());
        true
    }

    fn is_over(&self) -> bool {
        lock(&self.work).connection.has_ended() && !self.shared.strand.has_jobs()
    }

    /// Nothing will come any more: the descriptor is not readable from here on.
    fn over(&self) -> Error {
        self.set.clear(&mut lock(&self.work).watched);
        Error::closed()
    }

    /// Ends the client here and now, after whoever is inside has left; what is pending completes on
    /// this thread. A goodbye leaves if the socket takes it at once.
    fn finish(&self) {
        {
            // Under this lock, so that the end is not met by a turn of somebody else.
            let _work = lock(&self.work);
            self.leave.store(true, Ordering::SeqCst);
        }
        self.shared.close_now();
        self.shared.wake_always();
        let _inside = if self.shared.strand.is_inside() {
            // Below a call of `process` on this thread, which finds the end when it goes on.
            None
        } else {
            let mut gate = lock(&self.gate);
            while gate.occupied {
                gate.awaited = true;
                gate = self.left.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
            gate.occupied = true;
            Some(Inside(self))
        };
        let mut work = lock(&self.work);
        for _ in 0..ROUNDS {
            if !work.connection.turn(true, Instant::now()) {
                break;
            }
        }
        work.connection.abandon();
        self.set.clear(&mut work.watched);
        drop(work);
        self.shared.strand.wait_ended();
        // Who waits for the descriptor comes, and is told.
        self.ring();
    }
}

#[cfg(test)]
mod tests;
