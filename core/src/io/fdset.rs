//! One descriptor in place of a client's socket, a bell and a clock: epoll, eventfd and timerfd.
//!
//! Nothing is ever read from the bell or from the clock. They are watched for edges, so that each
//! ring and each lapse is reported once.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::interest::Interest;
use crate::error::{Error, ErrorKind, Result};

const SOCKET: u64 = 0;
const BELL: u64 = 1;
const CLOCK: u64 = 2;

/// Makes the descriptor readable, from any thread.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn ring(&self) {
        // It fails only where the count is full, and then it has been rung.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// What a wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// By nothing: the time is over, or a signal came.
    Not,
    /// The socket is ready, and perhaps more.
    Socket,
    /// By the bell or the clock.
    Otherwise,
}

#[derive(Debug)]
pub(crate) struct FdSet {
    epoll: OwnedFd,
    clock: OwnedFd,
}

/// What is in the set now, so that a change alone costs a system call.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Kept open until it is out of the set: a copy of it in a child process would stay there for ever.
    socket: Option<(Arc<OwnedFd>, Interest)>,
    /// Not later than the deadline; in the past it counts for nothing.
    alarm: Option<Instant>,
}

fn failed(errno: Errno) -> Error {
    Error::new(ErrorKind::Internal, format!("no descriptor to wait for: {}", std::io::Error::from(errno)))
}

impl FdSet {
    pub(crate) fn new() -> Result<(Self, Bell)> {
        let make = || {
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let clock =
                timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            for (fd, name) in [(&bell, BELL), (&clock, CLOCK)] {
                epoll::add(&epoll, fd, EventData::new_u64(name), EventFlags::IN | EventFlags::ET)?;
            }
            Ok((Self { epoll, clock }, Bell(bell)))
        };
        make().map_err(failed)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Waits for the first event, `None` for ever; a caught signal ends the waiting, too.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<Woken> {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let event = Event { flags: EventFlags::empty(), data: EventData::new_u64(BELL) };
        let mut events = [event; 3];
        let count = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(errno) => return Err(failed(errno)),
        };
        Ok(match &events[..count.min(events.len())] {
            [] => Woken::Not,
            some if some.iter().any(|event| event.data.u64() == SOCKET) => Woken::Socket,
            _ => Woken::Otherwise,
        })
    }

    /// Has the set hold `socket`, and no other. Level-triggered: what a turn has left is reported again.
    pub(super) fn watch(&self, watched: &mut Watched, socket: Option<(&Arc<OwnedFd>, Interest)>) {
        let Some((socket, interest)) = socket else {
            self.forget(watched);
            return;
        };
        let result = match &watched.socket {
            Some((known, before)) if Arc::ptr_eq(known, socket) => {
                if *before == interest {
                    return;
                }
                epoll::modify(&self.epoll, socket, EventData::new_u64(SOCKET), flags(interest))
            }
            _ => {
                self.forget(watched);
                epoll::add(&self.epoll, socket, EventData::new_u64(SOCKET), flags(interest))
            }
        };
        match result {
            Ok(()) => watched.socket = Some((Arc::clone(socket), interest)),
            // Without a place in the set the deadline of the connection ends it.
            Err(errno) => log::error!("cannot wait for a socket: {}", std::io::Error::from(errno)),
        }
    }

    fn forget(&self, watched: &mut Watched) {
        if let Some((socket, _)) = watched.socket.take() {
            // Its own owner keeps it open until here, so it is in the set.
            let _ = epoll::delete(&self.epoll, &socket);
        }
    }

    /// Has the clock lapse at `deadline` at the latest. An alarm that is too early is left alone: it
    /// costs one turn for nothing, where moving it would cost a system call for each packet.
    pub(super) fn arm(&self, watched: &mut Watched, deadline: Option<Instant>, now: Instant) {
        let Some(deadline) = deadline else { return };
        if watched.alarm.is_some_and(|alarm| now < alarm && alarm <= deadline) {
            return;
        }
        // Zero would disarm it.
        let wait = deadline.saturating_duration_since(now).max(Duration::from_nanos(1));
        if self.set_clock(wait) {
            watched.alarm = Some(deadline);
        }
    }

    /// Has the set hold no socket, and nothing to report until the bell is rung again.
    pub(super) fn clear(&self, watched: &mut Watched) {
        self.forget(watched);
        if watched.alarm.take().is_some() {
            self.set_clock(Duration::ZERO);
        }
        // An error would be one of the descriptor, which has nothing to report then.
        let _ = self.wait(Some(Duration::ZERO));
    }

    fn set_clock(&self, wait: Duration) -> bool {
        let it_value = Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let once = Itimerspec { it_interval, it_value };
        let result = timerfd_settime(&self.clock, TimerfdTimerFlags::empty(), &once);
        result
            .inspect_err(|&errno| log::error!("cannot set a timer: {}", std::io::Error::from(errno)))
            .is_ok()
    }
}

fn flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, interest.read);
    flags.set(EventFlags::OUT, interest.write);
    flags
}

#[cfg(test)]
mod tests;
