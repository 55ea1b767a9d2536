//! The tokio host: waits for the socket, the clock and the client's orders, and gives the
//! connection its turns.

use std::fmt;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use tokio::time::Sleep;

use super::connection::Connection;
use super::interest::Interest as Wanted;
use super::shared::Shared;

/// Does the I/O of one client. Nothing happens unless it is driven: spawn [`Driver::run`], or
/// await it beside other work. Handlers and completions run inside it.
pub struct Driver {
    connection: Connection,
    shared: Arc<Shared>,
    /// The socket as the runtime knows it.
    registered: Option<AsyncFd<Arc<OwnedFd>>>,
    /// Armed for a moment not later than the deadline; moved only when the deadline comes earlier.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

/// Who waits for the client learns that it is over: its end was not in sight and nobody else does its I/O.
impl Drop for Driver {
    fn drop(&mut self) {
        self.connection.abandon();
        self.shared.strand.run_unless_pooled();
    }
}

impl Driver {
    pub(crate) fn new(connection: Connection) -> Self {
        let shared = Arc::clone(connection.shared());
        Self { connection, shared, registered: None, sleep: None }
    }

    /// Runs until the client is closed. It may be dropped at any await and called again: nothing
    /// is lost, as long as it is called soon enough for keep-alive. Dropping the driver itself ends
    /// the client at once: what is pending completes with `Closed`, inside the drop.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub async fn run(&mut self) {
        let mut readable = true;
        while !self.connection.has_ended() {
            let more = self.connection.turn(readable, Instant::now());
            self.shared.strand.run_unless_pooled();
            readable = if more {
                // Others on this thread have their turn in between.
                tokio::task::yield_now().await;
                true
            } else {
                self.wait().await
            };
        }
        self.shared.strand.run_unless_pooled();
        // The runtime would keep the socket open.
        self.registered = None;
    }

    /// Waits until there is something to do. Returns whether the socket may be read.
    async fn wait(&mut self) -> bool {
        let want = self.register();
        self.shared.fall_asleep();
        let busy = self.connection.has_work();
        if busy {
            self.shared.stay_awake();
        }
        self.arm();
        let Self { registered, sleep, shared, connection } = self;
        let ready = async {
            match (registered.as_ref(), want) {
                (Some(socket), Some(interest)) => Some(socket.ready(interest).await),
                _ => std::future::pending().await,
            }
        };
        let slept = async {
            match sleep {
                Some(sleep) => sleep.as_mut().await,
                None => std::future::pending().await,
            }
        };
        let readable = tokio::select! {
            biased;
            guard = ready => match guard {
                Some(Ok(mut guard)) => {
                    let more = connection.turn(true, Instant::now());
                    let Wanted { read, write } = connection.blocked();
                    if read {
                        guard.clear_ready_matching(Ready::READABLE | Ready::READ_CLOSED);
                    }
                    if write {
                        guard.clear_ready_matching(Ready::WRITABLE);
                    }
                    more
                }
                // The runtime is shutting down; the next turn finds the socket as it is.
                _ => true,
            },
            // After the socket: who always has something to write would never hear the answers.
            () = tokio::task::yield_now(), if busy => false,
            () = shared.woken() => false,
            () = slept => {
                self.sleep = None;
                true
            }
        };
        self.shared.stay_awake();
        readable
    }

    /// Tells the runtime of the socket that the connection has now.
    fn register(&mut self) -> Option<Interest> {
        let Some((socket, want)) = self.connection.socket() else {
            self.registered = None;
            return None;
        };
        let known = self.registered.as_ref().is_some_and(|known| Arc::ptr_eq(known.get_ref(), socket));
        if !known {
            self.registered = None;
            // The replacement of `new` is unsafe for the sake of owners that lie about their
            // descriptor; an `Arc<OwnedFd>` cannot.
            #[expect(deprecated)]
            let registered = AsyncFd::new(Arc::clone(socket));
            // Without a place in the poller the deadline of the connection ends it.
            self.registered =
                registered.inspect_err(|error| log::error!("cannot wait for a socket: {error}")).ok();
        }
        match want {
            Wanted { read: true, write: true } => Some(Interest::READABLE | Interest::WRITABLE),
            Wanted { write: true, .. } => Some(Interest::WRITABLE),
            Wanted { read: true, .. } => Some(Interest::READABLE),
            _ => None,
        }
    }

    fn arm(&mut self) {
        match (self.connection.deadline().map(tokio::time::Instant::from_std), &mut self.sleep) {
            (None, _) => {}
            (Some(deadline), Some(sleep)) if sleep.deadline() > deadline => sleep.as_mut().reset(deadline),
            (Some(_), Some(_)) => {}
            (Some(deadline), None) => self.sleep = Some(Box::pin(tokio::time::sleep_until(deadline))),
        }
    }
}
