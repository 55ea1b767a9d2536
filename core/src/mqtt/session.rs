//! The client side of one MQTT 3.1.1 session, through any number of connections.
//!
//! ```text
//! Down -> Handshake (CONNECT written) -> Up -> Draining -> DISCONNECT written -> Down
//! ```
//!
//! The host calls [`Session::start`] when a byte stream is open, passes what it reads to
//! [`Session::input`], writes what [`Session::output`] gives, calls [`Session::timer`] at
//! [`Session::deadline`], and [`Session::stop`] when the stream is gone. Times are the host's.
//! The host also bounds what the session cannot see: how long CONNACK may take, how long a drain
//! may take, and how long the stream may take no byte.

mod receive;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::counters::Counters;
use super::event::{Drain, Event, Fault, Outcome, Settings, State};
use super::inbound::{Delivery, Inbound};
use super::keep_alive::KeepAlive;
use super::limits::Limits;
use super::outbox::{Outbox, Refused, Turn};
use super::packet::{self, Connect, Publish, QoS};
use super::slot::Completed;
use super::slot::Request;
use super::subscriptions::Subscriptions;
use crate::error::{Error, ErrorKind, Result};

/// A turn writes no more than this before the socket has taken it, so that what is urgent never
/// waits behind more than one message.
const WRITE_BUDGET: usize = 64 * 1024;

pub struct Session<T> {
    settings: Settings,
    state: State,
    outbox: Outbox<T>,
    inbound: Inbound,
    subscriptions: Subscriptions,
    keep_alive: KeepAlive,
    events: VecDeque<Event<T>>,
    /// CONNECT, until it is written.
    hello: BytesMut,
    clean_session: bool,
    /// CONNACK has come on this connection, good or bad.
    answered: bool,
    /// CONNACK has accepted this connection.
    greeted: bool,
    /// Messages of this connection were allowed to follow CONNECT.
    pipelining: bool,
    /// Whoever uses the session waits for messages that answer his own: a drain waits for them, too.
    expects: bool,
    /// Whoever uses the session is still at work on what came, and may acknowledge it.
    works: bool,
    closed: bool,
}

impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("state", &self.state).field("queued", &self.outbox.len()).finish()
    }
}

impl<T> Session<T> {
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            outbox: Outbox::new(settings.limits),
            keep_alive: KeepAlive::new(settings.ping_timeout, now),
            settings,
            state: State::Down,
            inbound: Inbound::default(),
            subscriptions: Subscriptions::default(),
            events: VecDeque::new(),
            hello: BytesMut::new(),
            clean_session: false,
            answered: false,
            greeted: false,
            pipelining: false,
            expects: false,
            works: false,
            closed: false,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Operations that hold a place in the outbox, and their bytes. A message that has expired in
    /// flight holds its place until the server answers or the connection ends.
    pub fn queued(&self) -> (usize, usize) {
        (self.outbox.len(), self.outbox.bytes())
    }

    /// Messages that the server has not acknowledged. A subscription that it has not answered is
    /// nothing to wait for before a goodbye.
    pub fn owed(&self) -> usize {
        self.outbox.owed()
    }

    pub fn counters(&self) -> Counters {
        self.outbox.counters
    }

    pub fn set_limits(&mut self, limits: Limits) {
        self.settings.limits = limits;
        self.outbox.set_limits(limits);
    }

    /// Accepts a message, or refuses it with nothing changed. Returns its packet id.
    ///
    /// QoS 1 is kept until the PUBACK, through any number of connections. QoS 0 is accepted only
    /// while a connection is open, and ends with it. QoS 2 is not offered.
    pub fn publish(
        &mut self,
        publish: &Publish<'_>,
        expiry: Option<Instant>,
        tag: T,
    ) -> std::result::Result<u16, Refused<T>> {
        match self.check_publish(publish) {
            Ok(()) => self.outbox.publish(publish, expiry, tag),
            Err(error) => Err(Refused { error, tag }),
        }
    }

    /// As [`Session::publish`], for what must not wait behind other messages or for the window, such
    /// as an answer that somebody waits for. What is urgent keeps its own order.
    pub fn publish_urgent(&mut self, publish: &Publish<'_>, tag: T) -> std::result::Result<u16, Refused<T>> {
        match self.check_publish(publish) {
            Ok(()) => self.outbox.publish_urgent(publish, tag),
            Err(error) => Err(Refused { error, tag }),
        }
    }

    fn check_publish(&self, publish: &Publish<'_>) -> Result<()> {
        packet::check_topic(publish.topic)?;
        match publish.qos {
            _ if self.closed => Err(Error::closed()),
            QoS::ExactlyOnce => Err(Error::argument("qos", "publishing at QoS 2 is not offered")),
            QoS::AtMostOnce if !self.takes_fleeting() => {
                Err(Error::new(ErrorKind::State, "not connected; QoS 0 is not kept for a later connection"))
            }
            _ => Ok(()),
        }
    }

    /// Whether what is not kept for a later connection may still leave on this one.
    fn takes_fleeting(&self) -> bool {
        matches!(self.state, State::Handshake | State::Up | State::Draining(Drain::Everything))
    }

    /// Returns the packet id of the SUBSCRIBE. Kept until the SUBACK, as a message is.
    pub fn subscribe(&mut self, filters: Vec<(String, QoS)>, tag: T) -> std::result::Result<u16, Refused<T>> {
        match self.check_filters(filters.iter().map(|(filter, _)| filter)) {
            Ok(()) => self.outbox.request(Request::Subscribe(filters), tag),
            Err(error) => Err(Refused { error, tag }),
        }
    }

    /// Returns the packet id of the UNSUBSCRIBE. Kept until the UNSUBACK, as a message is.
    pub fn unsubscribe(&mut self, filters: Vec<String>, tag: T) -> std::result::Result<u16, Refused<T>> {
        match self.check_filters(filters.iter()) {
            Ok(()) => self.outbox.request(Request::Unsubscribe(filters), tag),
            Err(error) => Err(Refused { error, tag }),
        }
    }

    fn check_filters<'a>(&self, mut filters: impl ExactSizeIterator<Item = &'a String>) -> Result<()> {
        if self.closed {
            return Err(Error::closed());
        }
        if filters.len() == 0 {
            return Err(Error::argument("filters", "is empty"));
        }
        filters.try_for_each(|filter| packet::check_filter(filter))
    }

    /// Acknowledges a received message. `NotFound` if it was acknowledged already or belongs to an
    /// earlier connection; then nothing is acknowledged.
    pub fn acknowledge(&mut self, delivery: Delivery) -> Result<()> {
        self.inbound.acknowledge(delivery)
    }

    /// A byte stream is open: writes CONNECT.
    pub fn start(&mut self, connect: &Connect, now: Instant) -> Result<()> {
        let mut hello = BytesMut::new();
        packet::write_connect(connect, &mut hello)?;
        if self.state != State::Down {
            self.stop();
        }
        self.hello = hello;
        self.keep_alive.start(Duration::from_secs(connect.keep_alive.into()), now);
        self.clean_session = connect.clean_session;
        self.state = State::Handshake;
        // Messages may follow CONNECT at once only if none of them can be a retransmission.
        self.pipelining = self.settings.pipelined && (self.clean_session || !self.outbox.has_sent());
        Ok(())
    }

    /// The byte stream is gone. What is not acknowledged waits for the next one.
    pub fn stop(&mut self) {
        if self.state != State::Down && self.hello.is_empty() && !self.answered {
            // The server may have begun a new session and said so in a CONNACK that was lost. On
            // the next connection it will call that session present, know no subscription, and use
            // its packet ids for other messages.
            self.subscriptions.server_forgot();
            self.inbound.session_lost();
        }
        self.state = State::Down;
        self.answered = false;
        self.greeted = false;
        self.hello = BytesMut::new();
        self.inbound.connection_lost();
        for lost in self.outbox.connection_lost() {
            let error =
                Error::new(ErrorKind::Network, "the connection ended before this QoS 0 message was sent");
            self.events.push_back(Event::Done { tag: lost.tag, id: lost.id, outcome: Err(error) });
        }
    }

    /// Ends the connection with a DISCONNECT, after what `drain` says.
    pub fn disconnect(&mut self, drain: Drain) {
        match self.state {
            State::Handshake | State::Up | State::Draining(_) => self.state = State::Draining(drain),
            State::Down | State::Finished => {}
        }
    }

    /// Whether a drain is to wait for messages that the server owes by a protocol above this one.
    pub fn expect(&mut self, expects: bool) {
        self.expects = expects;
    }

    /// Whether [`Drain::Everything`] is to wait for acknowledgements and answers that are being made.
    pub fn work(&mut self, works: bool) {
        self.works = works;
    }

    /// Completes everything with `Closed`. Nothing is accepted afterwards.
    pub fn close(&mut self) {
        self.closed = true;
        for pending in self.outbox.close() {
            self.events.push_back(Event::Done {
                tag: pending.tag,
                id: pending.id,
                outcome: Err(Error::closed()),
            });
        }
    }

    pub fn next_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    /// All events so far, oldest first.
    pub fn take_events(&mut self) -> VecDeque<Event<T>> {
        std::mem::take(&mut self.events)
    }

    /// As [`Session::take_events`], into a container that is used again.
    pub fn swap_events(&mut self, events: &mut VecDeque<Event<T>>) {
        if events.is_empty() {
            std::mem::swap(&mut self.events, events);
        } else {
            events.append(&mut self.events);
        }
    }

    /// Whether [`Session::output`] would append something.
    pub fn has_output(&self) -> bool {
        !self.hello.is_empty()
            || self.greeted && (self.inbound.is_ready() || self.keep_alive.is_due())
            || self.sends_urgent() && self.outbox.has_urgent()
            || self.sends_messages() && self.outbox.has_message()
            || self.is_drained()
    }

    /// Whether this connection may carry anything but CONNECT now.
    fn is_open(&self) -> bool {
        (self.greeted || self.pipelining) && !matches!(self.state, State::Down | State::Finished)
    }

    fn sends_urgent(&self) -> bool {
        self.is_open() && self.state != State::Draining(Drain::Now)
    }

    fn sends_messages(&self) -> bool {
        self.sends_urgent() && self.state != State::Draining(Drain::InFlight)
    }

    /// Whether DISCONNECT may be written, once what has to go before it is.
    fn is_drained(&self) -> bool {
        match self.state {
            State::Draining(Drain::Now) => true,
            State::Draining(Drain::InFlight) => {
                self.greeted && !self.expects && !self.outbox.awaits_answers()
            }
            State::Draining(Drain::Everything) => {
                self.greeted && !self.expects && !self.works && self.outbox.len() == 0
            }
            State::Down | State::Handshake | State::Up | State::Finished => false,
        }
    }

    /// Appends what is to be written now, the urgent first. Call it when `out` is empty.
    pub fn output(&mut self, out: &mut BytesMut, now: Instant) {
        let before = out.len();
        let (urgent, messages) = (self.sends_urgent(), self.sends_messages());
        out.extend_from_slice(&std::mem::take(&mut self.hello));
        if self.greeted {
            self.inbound.write(out);
            self.keep_alive.write(out);
        }
        let turn = Turn { budget: WRITE_BUDGET, resumed: self.greeted, now };
        let mut written = |Completed { id, tag }| {
            self.events.push_back(Event::Done { tag, id, outcome: Ok(Outcome::Published) });
        };
        if urgent {
            self.outbox.write_urgent(out, turn, &mut written);
        }
        if messages {
            self.outbox.write_messages(out, turn, &mut written);
        }
        if self.is_drained() {
            out.extend_from_slice(&packet::DISCONNECT);
            self.state = State::Finished;
            // No acknowledgement can follow, so none is taken any more.
            self.inbound.connection_lost();
        }
        if out.len() > before {
            self.keep_alive.wrote(now);
        }
    }

    /// The host has written everything that [`Session::output`] gave it.
    pub fn flushed(&mut self, now: Instant) {
        self.keep_alive.flushed(now);
    }

    /// When [`Session::timer`] has something to do.
    pub fn deadline(&mut self) -> Option<Instant> {
        let ping = if self.watches() { self.keep_alive.deadline() } else { None };
        [ping, self.outbox.next_expiry()].into_iter().flatten().min()
    }

    fn watches(&self) -> bool {
        self.greeted && matches!(self.state, State::Up | State::Draining(_))
    }

    /// Does what is due. Read before it: what waits in the socket is a sign of life.
    pub fn timer(&mut self, now: Instant) -> std::result::Result<(), Fault> {
        for Completed { id, tag } in self.outbox.expire(now) {
            let error =
                Error::new(ErrorKind::Expired, "the time to live ended before the hub acknowledged it");
            self.events.push_back(Event::Done { tag, id, outcome: Err(error) });
        }
        if self.watches() && self.keep_alive.timer(now) { Err(Fault::KeepAlive) } else { Ok(()) }
    }

    /// Bytes came, whole packets or not: the server lives.
    pub fn alive(&mut self, now: Instant) {
        if let Some(time) = self.keep_alive.received(now) {
            self.outbox.counters.last_round_trip = Some(time);
        }
    }

    /// Consumes the whole packets at the front of `stream`. Call it when bytes have come.
    pub fn input(&mut self, stream: &mut BytesMut, now: Instant) -> std::result::Result<(), Fault> {
        if stream.is_empty() {
            return Ok(());
        }
        self.alive(now);
        while let Some(incoming) = packet::read(stream, self.settings.max_packet).map_err(Fault::Protocol)? {
            self.receive(incoming, now)?;
        }
        Ok(())
    }
}
