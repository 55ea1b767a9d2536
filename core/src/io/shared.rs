//! What a client's handles and its I/O share: the session, the orders, and the way to wake the I/O.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::dispatch::{Request, Strand};
use super::fdset::Bell;
use super::hub_link::HubLink;
use super::received::{Handler, Route};
use super::wire::lock;
use crate::completion::Completion;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::MethodRequest;
use crate::mqtt::{Delivery, Refused, Session};
use crate::stats::{LinkCounters, Stats};

/// What the application has asked of the connection.
#[derive(Default)]
pub(super) struct Orders {
    /// Given since the connection last looked.
    pub fresh: bool,
    pub connect: Option<Completion>,
    pub close: Option<Close>,
    /// The connection has ended for good and looks at no order any more.
    pub ended: bool,
}

pub(super) struct Close {
    /// How long what is queued may still be sent.
    pub until: Instant,
    pub done: Vec<Completion>,
}

/// How the host that waits is told that there is something to do.
enum Waker {
    Task(Notify),
    Bell(Bell),
}

type Finish = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Shared {
    pub(super) session: Mutex<Session<Completion>>,
    /// Where the server is an IoT Hub and the client a device or module.
    pub(super) hub: Option<HubLink>,
    pub(super) orders: Mutex<Orders>,
    pub(super) strand: Arc<Strand>,
    pub(super) counters: Mutex<LinkCounters>,
    waker: Waker,
    /// Ends the client on the calling thread, where its host can do that.
    finish: OnceLock<Finish>,
    /// The I/O waits and has to be woken. Set before it looks a last time whether there is work.
    asleep: AtomicBool,
    connect_called: AtomicBool,
    /// Set under the locks of the orders and of the session: after it nothing is accepted.
    closed: AtomicBool,
}

impl Shared {
    /// For a host that is a task. `pooled`: callbacks run on the library's threads.
    pub(super) fn new(session: Session<Completion>, hub: Option<HubLink>, pooled: bool) -> Arc<Self> {
        Self::made(session, hub, pooled, Waker::Task(Notify::new()))
    }

    /// For a host that waits for a descriptor.
    pub(super) fn with_bell(session: Session<Completion>, hub: Option<HubLink>, bell: Bell) -> Arc<Self> {
        let shared = Self::made(session, hub, false, Waker::Bell(bell));
        // It waits from the first moment on: nothing has to be processed before the descriptor says so.
        shared.fall_asleep();
        shared
    }

    fn made(session: Session<Completion>, hub: Option<HubLink>, pooled: bool, waker: Waker) -> Arc<Self> {
        let shared = Arc::new(Self {
            session: Mutex::new(session),
            hub,
            orders: Mutex::new(Orders::default()),
            strand: Strand::new(pooled),
            counters: Mutex::default(),
            waker,
            finish: OnceLock::new(),
            asleep: AtomicBool::new(false),
            connect_called: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&shared);
        shared.strand.set_ask(Box::new(move |request| {
            let Some(shared) = weak.upgrade() else { return };
            match request {
                // A delivery of a connection that is gone comes again.
                Request::Acknowledge(delivery) => drop(shared.acknowledge(delivery)),
                // Whoever waits for it learns that at once.
                Request::Refuse(request) => drop(shared.respond(request, 404, b"")),
                Request::Read => shared.wake_always(),
            }
        }));
        shared
    }

    pub(super) fn set_finish(&self, finish: Finish) {
        // Set once, where the client is made.
        let _ = self.finish.set(finish);
    }

    /// For news that [`Connection::has_work`](super::Connection::has_work) does not see.
    pub(super) fn wake_always(&self) {
        lock(&self.orders).fresh = true;
        self.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            match &self.waker {
                Waker::Task(notify) => notify.notify_one(),
                Waker::Bell(bell) => bell.ring(),
            }
        }
    }

    pub(super) fn fall_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    pub(super) fn stay_awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    pub(super) async fn woken(&self) {
        match &self.waker {
            Waker::Task(notify) => notify.notified().await,
            Waker::Bell(_) => std::future::pending().await,
        }
    }

    /// Operations that have not completed, and the bytes that they hold.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let requests = self.hub.as_ref().map_or(0, HubLink::len);
        let (messages, bytes) = lock(&self.session).queued();
        (messages + requests, bytes)
    }

    /// What is to be done before a goodbye.
    pub(super) fn owed(&self) -> usize {
        self.hub.as_ref().map_or(0, HubLink::len) + lock(&self.session).owed()
    }

    pub(crate) fn stats(&self) -> Stats {
        let counters = lock(&self.session).counters();
        Stats::new(counters, self.queued(), &lock(&self.counters))
    }

    /// Gives `operation` the session, and wakes the I/O if that made something to write. What is
    /// refused is abandoned, not completed: the caller reports it. `timed` says that it may expire.
    pub(crate) fn operate<R>(
        &self,
        done: Completion,
        timed: bool,
        operation: impl FnOnce(
            &mut Session<Completion>,
            Completion,
        ) -> std::result::Result<R, Refused<Completion>>,
    ) -> Result<R> {
        let mut session = lock(&self.session);
        if self.is_closed() {
            drop(session);
            done.abandon();
            return Err(Error::closed());
        }
        let before = if timed { session.deadline() } else { None };
        let result = operation(&mut session, done);
        // The I/O sleeps until a deadline that an expiry may have brought nearer.
        let sooner = timed && session.deadline().is_some_and(|at| before.is_none_or(|before| at < before));
        let ready = session.has_output() || sooner;
        drop(session);
        if ready {
            self.wake();
        }
        result.map_err(|refused| {
            refused.tag.abandon();
            refused.error
        })
    }

    /// Asks `request` of the hub, and lets the I/O look at it and at its deadline.
    pub(crate) fn ask_hub<R>(
        &self,
        request: impl FnOnce(&HubLink, &Mutex<Session<Completion>>) -> Result<R>,
    ) -> Result<R> {
        let unsupported = || Error::new(ErrorKind::Unsupported, "this client is not one of an IoT Hub");
        let result = request(self.hub.as_ref().ok_or_else(unsupported)?, &self.session);
        self.wake();
        result
    }

    pub(crate) fn respond(&self, request: MethodRequest, status: u16, body: &[u8]) -> Result<()> {
        self.ask_hub(|hub, session| hub.respond(session, request, status, body))
    }

    pub(crate) fn acknowledge(&self, delivery: Delivery) -> Result<()> {
        let mut session = lock(&self.session);
        let result = session.acknowledge(delivery);
        let ready = session.has_output();
        drop(session);
        if ready {
            self.wake();
        }
        result
    }

    pub(crate) fn connect(&self, done: Completion) -> Result<()> {
        let mut orders = lock(&self.orders);
        let refused = if self.is_closed() {
            Some(Error::closed())
        } else if self.connect_called.swap(true, Ordering::SeqCst) {
            Some(Error::new(
                ErrorKind::State,
                "connect was called already; the client stays connected until close",
            ))
        } else {
            None
        };
        match refused {
            Some(error) => {
                drop(orders);
                done.abandon();
                Err(error)
            }
            None => {
                orders.connect = Some(done);
                orders.fresh = true;
                drop(orders);
                self.wake();
                Ok(())
            }
        }
    }

    /// Replaces a callback; the one before is dropped once it is not running.
    pub(crate) fn set_handler(&self, route: Route, handler: Option<Handler>) {
        if let (Some(hub), Some(Handler::Topic(_))) = (&self.hub, &handler) {
            hub.take_topics();
        }
        self.strand.set(route, handler);
        self.wake();
    }

    /// Sends what is queued for up to `timeout`, then ends. Further calls shorten the time.
    pub(crate) fn close(&self, timeout: Duration, done: Completion) -> Result<()> {
        let until = Instant::now() + timeout.min(Duration::from_secs(86_400));
        let mut orders = lock(&self.orders);
        if orders.ended {
            drop(orders);
            done.abandon();
            return Err(Error::closed());
        }
        match &mut orders.close {
            Some(close) => {
                close.until = close.until.min(until);
                close.done.push(done);
            }
            None => orders.close = Some(Close { until, done: vec![done] }),
        }
        orders.fresh = true;
        // Before the connection can see the order: what it ends is not added to.
        self.refuse_more();
        drop(orders);
        self.wake();
        Ok(())
    }

    /// For the end of a client that nobody closed.
    pub(super) fn refuse_more(&self) {
        let session = lock(&self.session);
        self.closed.store(true, Ordering::SeqCst);
        drop(session);
    }

    /// Ends now, and returns when no callback of this client will run any more: those that are left
    /// run here if the client is a manual one. Those of a driven client run where its driver does,
    /// which this does not wait for.
    pub(crate) fn free(&self) {
        self.strand.mute();
        if let Some(finish) = self.finish.get() {
            finish();
            return;
        }
        self.close_now();
        if self.strand.is_pooled() {
            self.strand.wait_ended();
        }
    }

    pub(super) fn close_now(&self) {
        // A client that has ended already has nothing to close.
        let _ = self.close(Duration::ZERO, Completion::ignored());
    }
}
