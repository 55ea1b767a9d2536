//! Runs the application's callbacks: in order for one client, never with a lock held, never on the
//! thread that does the I/O.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use super::pool;
use super::received::{Ack, Handler, ROUTES, Received, Route};
use super::wire::lock;
use crate::completion::{Answer, Completion};
use crate::error::Result;
use crate::hub::MethodRequest;
use crate::mqtt::Delivery;
use crate::status::Status;

pub(super) enum Job {
    Done(Completion, Result<Answer>),
    Received(Received),
    Status(Status),
    Set(Route, Option<Handler>),
    /// The last: nothing runs after it.
    End,
}

impl Job {
    /// What it counts for in the backlog.
    fn weight(&self) -> usize {
        match self {
            Self::Received(received) => received.weight(),
            Self::Done(..) | Self::Status(_) | Self::Set(..) | Self::End => 0,
        }
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    scheduled: bool,
    /// Only completions run any more.
    muted: bool,
    /// The last job was queued; what comes later is dropped.
    complete: bool,
    /// The last job is running.
    ending: bool,
    ended: bool,
    /// Somebody waits for a change; waking nobody costs a system call as well.
    awaited: bool,
}

/// Received bytes that may wait for their handler before no more are read from the socket.
const MOST_BACKLOG: usize = 4 << 20;

/// What a strand asks of the connection that it belongs to.
pub(super) enum Request {
    Acknowledge(Delivery),
    /// No handler will answer it.
    Refuse(MethodRequest),
    /// There is room for messages again, or the last one has been handled.
    Read,
}

type Ask = Box<dyn Fn(Request) + Send + Sync>;

/// Unacknowledged messages that wait for a handler, as long as they are few.
#[derive(Default)]
struct Parked {
    messages: Vec<Received>,
    bytes: usize,
}

impl Parked {
    fn keep(&mut self, message: Received) {
        if self.bytes > MOST_BACKLOG {
            // Not acknowledged, so the server sends it again on the next connection.
            log::warn!("no handler for messages, and no room to keep another one for it");
            return;
        }
        self.bytes += message.weight();
        self.messages.push(message);
    }

    fn take(&mut self, route: Route) -> Vec<Received> {
        let all = std::mem::take(&mut self.messages).into_iter();
        let (taken, rest): (Vec<_>, Vec<_>) = all.partition(|message| message.route() == route);
        self.messages = rest;
        self.bytes -= taken.iter().map(Received::weight).sum::<usize>();
        taken
    }
}

/// The callbacks of one client, in order.
pub(super) struct Strand {
    queue: Mutex<Queue>,
    changed: Condvar,
    handlers: Mutex<[Option<Handler>; ROUTES]>,
    /// Messages that came before there was a handler for them, as after a reconnect to a kept session.
    parked: Mutex<Parked>,
    ask: OnceLock<Ask>,
    /// Bytes of the messages that no handler has seen.
    backlog: AtomicUsize,
    /// How many of them there are, the one that a handler is looking at among them.
    unsettled: AtomicUsize,
    /// The connection waits for their end.
    closing: AtomicBool,
    /// Run by the pool; otherwise whoever drives the client calls `run`.
    pooled: bool,
}

impl fmt::Debug for Strand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Strand")
    }
}

thread_local! {
    /// The strands that this thread is inside of, with what is left of their batches.
    static INSIDE: RefCell<Vec<(*const Strand, VecDeque<Job>)>> = const { RefCell::new(Vec::new()) };
}

/// A panic of a Rust callback has been reported by its hook; the client and its handlers go on.
fn survive<R>(callback: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(callback)).ok()
}

impl Strand {
    pub(super) fn new(pooled: bool) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            changed: Condvar::new(),
            handlers: Mutex::default(),
            parked: Mutex::default(),
            ask: OnceLock::new(),
            backlog: AtomicUsize::new(0),
            unsettled: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            pooled,
        })
    }

    pub(super) fn set_ask(&self, ask: Ask) {
        // Set once, where the client is made.
        let _ = self.ask.set(ask);
    }

    /// Whether so much waits for handlers that the server has to be held back.
    pub(super) fn is_full(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) > MOST_BACKLOG
    }

    /// For a connection that is about to say goodbye: whether handlers are still at work on what came.
    /// It is woken when they are done.
    pub(super) fn is_settling(&self) -> bool {
        self.closing.store(true, Ordering::SeqCst);
        self.unsettled.load(Ordering::SeqCst) > 0
    }

    fn seen(&self, weight: usize) {
        let before = self.backlog.fetch_sub(weight, Ordering::Relaxed);
        let resume = MOST_BACKLOG / 2;
        if before > resume && before - weight <= resume {
            self.request(Request::Read);
        }
    }

    fn request(&self, request: Request) {
        if let Some(ask) = self.ask.get() {
            ask(request);
        }
    }

    /// Appends `jobs`, leaving the container empty for the next use.
    pub(super) fn push(self: &Arc<Self>, jobs: &mut VecDeque<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut queue = lock(&self.queue);
        if queue.complete {
            drop(queue);
            jobs.clear();
            return;
        }
        queue.complete = matches!(jobs.back(), Some(Job::End));
        let weights = jobs.iter().map(Job::weight).filter(|weight| *weight > 0);
        let (count, weight) = weights.fold((0, 0), |(count, sum), weight| (count + 1, sum + weight));
        self.backlog.fetch_add(weight, Ordering::Relaxed);
        self.unsettled.fetch_add(count, Ordering::SeqCst);
        if queue.jobs.is_empty() {
            std::mem::swap(&mut queue.jobs, jobs);
        } else {
            queue.jobs.append(jobs);
        }
        let schedule = self.pooled && !std::mem::replace(&mut queue.scheduled, true);
        let awaited = queue.awaited;
        drop(queue);
        if awaited {
            self.changed.notify_all();
        }
        if schedule {
            pool::schedule(Arc::clone(self));
        }
    }

    pub(super) fn set(self: &Arc<Self>, route: Route, handler: Option<Handler>) {
        self.push(&mut VecDeque::from([Job::Set(route, handler)]));
    }

    /// For the host of a client whose callbacks run where its I/O does.
    pub(super) fn run_unless_pooled(self: &Arc<Self>) {
        if !self.pooled {
            self.run();
        }
    }

    /// Runs what is queued. Returns whether more came meanwhile.
    pub(super) fn run(self: &Arc<Self>) -> bool {
        let batch = std::mem::take(&mut lock(&self.queue).jobs);
        self.run_batch(batch);
        let mut queue = lock(&self.queue);
        queue.scheduled = self.pooled && !queue.jobs.is_empty();
        !queue.jobs.is_empty()
    }

    fn run_batch(&self, batch: VecDeque<Job>) {
        let this: *const Self = self;
        INSIDE.with_borrow_mut(|inside| inside.push((this, batch)));
        // A callback that frees its client takes the rest of the batch from here, and runs it.
        while let Some(job) =
            INSIDE.with_borrow_mut(|inside| inside.last_mut().and_then(|(_, jobs)| jobs.pop_front()))
        {
            survive(|| self.execute(job));
        }
        INSIDE.with_borrow_mut(Vec::pop);
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.pooled
    }

    pub(super) fn has_jobs(&self) -> bool {
        !lock(&self.queue).jobs.is_empty()
    }

    /// Whether this thread is inside one of the strand's callbacks.
    pub(super) fn is_inside(&self) -> bool {
        let this: *const Self = self;
        INSIDE.with_borrow(|inside| inside.iter().any(|(strand, _)| *strand == this))
    }

    fn execute(&self, job: Job) {
        match job {
            Job::Done(done, result) => done.complete(result),
            Job::Received(received) => {
                self.seen(received.weight());
                self.deliver(received);
                if self.unsettled.fetch_sub(1, Ordering::SeqCst) == 1 && self.closing.load(Ordering::SeqCst) {
                    self.request(Request::Read);
                }
            }
            Job::Status(status) => {
                if !status.is_connected() {
                    // Their deliveries belong to a connection that is gone; the hub sends them again.
                    *lock(&self.parked) = Parked::default();
                }
                if let Some(Handler::Status(mut handler)) = self.take(Route::Status) {
                    survive(|| handler(&status));
                    self.put_back(Route::Status, Handler::Status(handler));
                }
            }
            Job::Set(route, handler) => {
                let present = handler.is_some();
                let before = std::mem::replace(&mut lock(&self.handlers)[route as usize], handler);
                drop(before);
                if present {
                    let parked = lock(&self.parked).take(route);
                    parked.into_iter().for_each(|message| self.deliver(message));
                }
            }
            Job::End => {
                lock(&self.queue).ending = true;
                let handlers = std::mem::take(&mut *lock(&self.handlers));
                drop(handlers);
                *lock(&self.parked) = Parked::default();
                lock(&self.queue).ended = true;
                self.changed.notify_all();
            }
        }
    }

    fn deliver(&self, received: Received) {
        let (route, delivery) = (received.route(), received.delivery());
        let Some(mut handler) = self.take(route) else {
            match received {
                Received::Method(method) => self.request(Request::Refuse(method.request)),
                received if delivery.is_some() => lock(&self.parked).keep(received),
                _ => {}
            }
            return;
        };
        // What it did not finish with comes again on the next connection.
        let ack = survive(|| handler.call(received)).unwrap_or(Ack::Later);
        self.put_back(route, handler);
        if let (Ack::Now, Some(delivery)) = (ack, delivery) {
            self.request(Request::Acknowledge(delivery));
        }
    }

    fn take(&self, route: Route) -> Option<Handler> {
        if lock(&self.queue).muted {
            return None;
        }
        lock(&self.handlers)[route as usize].take()
    }

    /// Unless the callback has ended its own client: then it was the last.
    fn put_back(&self, route: Route, handler: Handler) {
        if !lock(&self.queue).ended {
            lock(&self.handlers)[route as usize].get_or_insert(handler);
        }
    }

    /// From now on only completions run.
    pub(super) fn mute(&self) {
        lock(&self.queue).muted = true;
    }

    /// Returns when `Job::End` has run. Inside one of the strand's own callbacks, and for a strand
    /// without threads, it runs what is left here, on this thread; elsewhere it waits for the thread
    /// that does.
    pub(super) fn wait_ended(&self) {
        let inside = self.is_inside();
        if inside {
            let this: *const Self = self;
            let rest = INSIDE.with_borrow_mut(|inside| {
                inside
                    .iter_mut()
                    .filter(|(strand, _)| *strand == this)
                    .map(|(_, jobs)| std::mem::take(jobs))
                    .collect::<Vec<_>>()
            });
            rest.into_iter().rev().for_each(|jobs| self.run_batch(jobs));
        }
        let here = inside || !self.pooled;
        let mut queue = lock(&self.queue);
        // What a handler owns may free the client when it is dropped, which is the last thing that is done.
        while !(queue.ended || inside && queue.ending) {
            if here && !queue.jobs.is_empty() {
                let batch = std::mem::take(&mut queue.jobs);
                drop(queue);
                self.run_batch(batch);
                queue = lock(&self.queue);
            } else {
                queue.awaited = true;
                queue = self.changed.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
        }
    }
}
