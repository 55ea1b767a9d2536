//! The client side of one MQTT 3.1.1 session, through any number of connections.
//!
//! ```text
//! Down -> Handshake (CONNECT written) -> Up -> Draining -> DISCONNECT written -> Down
//! ```
//!
//! The host calls [`Session::start`] when a byte stream is open, passes what it reads to
//! [`Session::input`], writes what [`Session::output`] gives, calls [`Session::timer`] at
//! [`Session::deadline`], and [`Session::stop`] when the stream is gone. Times are the host's.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::event::{Drain, Event, Fault, Message, Outcome, Settings, State};
use super::inbound::{Delivery, Inbound};
use super::outbox::{Completed, Limits, Outbox, Refused, Request};
use super::packet::{self, Connect, Incoming, Publish, QoS};
use crate::error::{Error, ErrorKind, Result};

/// A turn writes no more than this before the socket has taken it, so that what is urgent never
/// waits behind more than one message.
const WRITE_BUDGET: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ping {
    Idle,
    /// To be written with the next output.
    Due,
    /// In the host's buffer.
    Written,
    Sent(Instant),
}

pub struct Session<T> {
    settings: Settings,
    state: State,
    outbox: Outbox<T>,
    inbound: Inbound,
    /// What the server has granted and keeps, or would have to be told again.
    subscriptions: Vec<(String, QoS)>,
    events: VecDeque<Event<T>>,
    hello: BytesMut,
    keep_alive: Duration,
    clean_session: bool,
    /// CONNACK has come on this connection.
    greeted: bool,
    /// Messages of this connection were allowed to follow CONNECT.
    pipelining: bool,
    ping: Ping,
    last_in: Instant,
    last_out: Instant,
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
            keep_alive: settings.keep_alive,
            settings,
            state: State::Down,
            inbound: Inbound::default(),
            subscriptions: Vec::new(),
            events: VecDeque::new(),
            hello: BytesMut::new(),
            clean_session: false,
            greeted: false,
            pipelining: false,
            ping: Ping::Idle,
            last_in: now,
            last_out: now,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Operations that have not completed, and the bytes that they hold.
    pub fn queued(&self) -> (usize, usize) {
        (self.outbox.len(), self.outbox.bytes())
    }

    pub fn set_limits(&mut self, limits: Limits) {
        self.settings.limits = limits;
        self.outbox.set_limits(limits);
    }

    /// Accepts a message, or refuses it with nothing changed. Returns its packet id.
    ///
    /// QoS 1 is kept until the PUBACK, through any number of connections. QoS 0 is accepted only
    /// while a connection is open. QoS 2 is not offered.
    pub fn publish(
        &mut self,
        publish: &Publish<'_>,
        expiry: Option<Instant>,
        tag: T,
    ) -> std::result::Result<u16, Refused<T>> {
        let checked = packet::check_topic(publish.topic).and_then(|()| match publish.qos {
            QoS::ExactlyOnce => Err(Error::argument("qos", "publishing at QoS 2 is not offered")),
            QoS::AtMostOnce if !matches!(self.state, State::Handshake | State::Up) => {
                Err(Error::new(ErrorKind::State, "not connected; QoS 0 is not kept for a later connection"))
            }
            _ => Ok(()),
        });
        match checked {
            Ok(()) => self.outbox.publish(publish, expiry, tag),
            Err(error) => Err(Refused { error, tag }),
        }
    }

    /// Returns the packet id of the SUBSCRIBE. Kept until the SUBACK, as a message is.
    pub fn subscribe(&mut self, filters: Vec<(String, QoS)>, tag: T) -> std::result::Result<u16, Refused<T>> {
        let checked = if filters.is_empty() {
            Err(Error::argument("filters", "is empty"))
        } else {
            filters.iter().try_for_each(|(filter, _)| packet::check_filter(filter))
        };
        self.request(checked, Request::Subscribe(filters), tag)
    }

    pub fn unsubscribe(&mut self, filters: Vec<String>, tag: T) -> std::result::Result<u16, Refused<T>> {
        let checked = if filters.is_empty() {
            Err(Error::argument("filters", "is empty"))
        } else {
            filters.iter().try_for_each(|filter| packet::check_filter(filter))
        };
        if checked.is_ok() {
            // A session that is lost meanwhile must not bring it back.
            self.subscriptions.retain(|(known, _)| !filters.contains(known));
        }
        self.request(checked, Request::Unsubscribe(filters), tag)
    }

    fn request(
        &mut self,
        checked: Result<()>,
        request: Request,
        tag: T,
    ) -> std::result::Result<u16, Refused<T>> {
        if let Err(error) = checked {
            return Err(Refused { error, tag });
        }
        match self.outbox.request(request, Some(tag)) {
            Ok(id) => Ok(id),
            Err((error, Some(tag))) => Err(Refused { error, tag }),
            Err((_, None)) => unreachable!("the outbox returns the tag that it was given"),
        }
    }

    /// Acknowledges a received message. `NotFound` if it was acknowledged already or belongs to an
    /// earlier connection; then nothing is acknowledged.
    pub fn acknowledge(&mut self, delivery: Delivery) -> Result<()> {
        self.inbound.acknowledge(delivery)
    }

    /// A byte stream is open: writes CONNECT.
    pub fn start(&mut self, connect: &Connect, now: Instant) -> Result<()> {
        self.hello.clear();
        packet::write_connect(connect, &mut self.hello)?;
        self.keep_alive = Duration::from_secs(connect.keep_alive.into());
        self.clean_session = connect.clean_session;
        self.state = State::Handshake;
        self.greeted = false;
        self.ping = Ping::Idle;
        self.last_in = now;
        self.last_out = now;
        // Messages may follow CONNECT at once only if none of them can be a retransmission.
        self.pipelining = self.settings.pipelined && (self.clean_session || !self.outbox.has_sent());
        if self.pipelining {
            self.outbox.rewind(false);
        }
        Ok(())
    }

    /// The byte stream is gone. What is not acknowledged waits for the next one.
    pub fn stop(&mut self) {
        self.state = State::Down;
        self.greeted = false;
        self.ping = Ping::Idle;
        self.hello.clear();
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

    /// Completes everything with `Closed`. Nothing is accepted usefully afterwards.
    pub fn close(&mut self) {
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

    /// As [`Session::take_events`], into an empty container that is used again.
    pub fn swap_events(&mut self, events: &mut VecDeque<Event<T>>) {
        if events.is_empty() {
            std::mem::swap(&mut self.events, events);
        } else {
            events.append(&mut self.events);
        }
    }

    /// Consumes the whole packets at the front of `stream`.
    pub fn input(&mut self, stream: &mut BytesMut, now: Instant) -> std::result::Result<(), Fault> {
        if stream.is_empty() {
            return Ok(());
        }
        self.alive(now);
        while let Some(incoming) = packet::read(stream, self.settings.max_packet).map_err(Fault::Protocol)? {
            self.receive(incoming)?;
        }
        Ok(())
    }

    /// Bytes came, whole packets or not: the server lives.
    pub fn alive(&mut self, now: Instant) {
        self.last_in = now;
        if matches!(self.ping, Ping::Sent(_)) {
            self.ping = Ping::Idle;
        }
    }

    fn receive(&mut self, incoming: Incoming) -> std::result::Result<(), Fault> {
        let unexpected = |what: &str| Err(Fault::Protocol(format!("{what} that nothing was waiting for")));
        if matches!(self.state, State::Down | State::Finished) {
            return Ok(());
        }
        if self.greeted == matches!(incoming, Incoming::ConnAck { .. }) {
            return unexpected(if self.greeted { "a second CONNACK" } else { "a packet before CONNACK" });
        }
        match incoming {
            Incoming::ConnAck { session_present, code: 0 } => self.connected(session_present),
            Incoming::ConnAck { code, .. } => return Err(Fault::Refused(code)),
            Incoming::PubAck(id) => match self.outbox.acknowledge(id) {
                Ok(Some(tag)) => {
                    self.events.push_back(Event::Done { tag, id, outcome: Ok(Outcome::Published) })
                }
                Ok(None) => {}
                Err(()) => return unexpected("a PUBACK"),
            },
            Incoming::SubAck { id, granted } => {
                let Ok((Request::Subscribe(filters), tag)) = self.outbox.answered(id, true) else {
                    return unexpected("a SUBACK");
                };
                if filters.len() != granted.len() {
                    return Err(Fault::Protocol("a SUBACK with a wrong number of codes".into()));
                }
                for ((filter, qos), granted) in filters.into_iter().zip(&granted) {
                    self.subscriptions.retain(|(known, _)| *known != filter);
                    if granted.is_some() {
                        self.subscriptions.push((filter, qos));
                    }
                }
                if let Some(tag) = tag {
                    self.events.push_back(Event::Done { tag, id, outcome: Ok(Outcome::Subscribed(granted)) });
                }
            }
            Incoming::UnsubAck(id) => {
                let Ok((Request::Unsubscribe(filters), tag)) = self.outbox.answered(id, false) else {
                    return unexpected("an UNSUBACK");
                };
                self.subscriptions.retain(|(known, _)| !filters.contains(known));
                if let Some(tag) = tag {
                    self.events.push_back(Event::Done { tag, id, outcome: Ok(Outcome::Unsubscribed) });
                }
            }
            Incoming::Publish { topic, payload, qos, retain, dup, id } => {
                let delivery = match qos {
                    QoS::AtMostOnce => None,
                    QoS::AtLeastOnce => self.inbound.receive(id, false),
                    QoS::ExactlyOnce => match self.inbound.receive(id, true) {
                        Some(delivery) => Some(delivery),
                        None => return Ok(()),
                    },
                };
                self.events.push_back(Event::Message(Message {
                    topic,
                    payload,
                    qos,
                    retain,
                    dup,
                    id,
                    delivery,
                }));
            }
            Incoming::PubRel(id) => self.inbound.release(id),
            Incoming::PingResp => {}
        }
        Ok(())
    }

    fn connected(&mut self, session_present: bool) {
        self.greeted = true;
        if self.state == State::Handshake {
            self.state = State::Up;
        }
        if !self.pipelining {
            self.outbox.rewind(session_present);
        }
        if !session_present {
            self.inbound.session_lost();
            let wanted = std::mem::take(&mut self.subscriptions);
            if self.settings.resubscribe && !wanted.is_empty() {
                // Refused only by a ring of 65,000 slots: then a later connection tries again.
                if self.outbox.request(Request::Subscribe(wanted.clone()), None).is_err() {
                    self.subscriptions = wanted;
                }
            }
        }
        self.events.push_back(Event::Connected { session_present });
    }

    /// Whether [`Session::output`] would append something.
    pub fn has_output(&self) -> bool {
        match self.state {
            State::Down | State::Finished => false,
            _ if !self.hello.is_empty() || self.state == State::Draining(Drain::Now) => true,
            _ if !self.greeted && !self.pipelining => false,
            state => {
                self.inbound.is_ready()
                    || self.ping == Ping::Due
                    || self.outbox.has_control()
                    || self.sends_publishes() && self.outbox.has_publish()
                    || matches!(state, State::Draining(drain) if self.is_drained(drain))
            }
        }
    }

    fn sends_publishes(&self) -> bool {
        matches!(self.state, State::Handshake | State::Up | State::Draining(Drain::Everything))
    }

    fn is_drained(&self, drain: Drain) -> bool {
        match drain {
            Drain::Now => true,
            Drain::InFlight => self.greeted && self.outbox.in_flight() == 0,
            Drain::Everything => self.greeted && self.outbox.len() == 0,
        }
    }

    /// Appends what is to be written now, the urgent first. Call it when `out` is empty.
    pub fn output(&mut self, out: &mut BytesMut, now: Instant) {
        if matches!(self.state, State::Down | State::Finished) {
            return;
        }
        let before = out.len();
        out.extend_from_slice(&self.hello.split());
        if self.greeted {
            self.inbound.write(out);
            if self.ping == Ping::Due {
                out.extend_from_slice(&packet::PINGREQ);
                self.ping = Ping::Written;
            }
        }
        if self.greeted || self.pipelining {
            self.outbox.write_control(out);
            if self.sends_publishes() {
                let mut written = Vec::new();
                self.outbox.write_publishes(out, WRITE_BUDGET, &mut written);
                for Completed { id, tag } in written {
                    self.events.push_back(Event::Done { tag, id, outcome: Ok(Outcome::Published) });
                }
            }
        }
        if let State::Draining(drain) = self.state
            && self.is_drained(drain)
        {
            out.extend_from_slice(&packet::DISCONNECT);
            self.state = State::Finished;
        }
        if out.len() > before {
            self.last_out = now;
        }
    }

    /// The host has written everything that [`Session::output`] gave it.
    pub fn flushed(&mut self, now: Instant) {
        if self.ping == Ping::Written {
            self.ping = Ping::Sent(now);
        }
    }

    /// When [`Session::timer`] has something to do.
    pub fn deadline(&mut self) -> Option<Instant> {
        let ping = match self.ping {
            Ping::Sent(at) => Some(at + self.settings.ping_timeout),
            Ping::Idle if self.greeted && self.pings() => {
                Some(self.last_in.min(self.last_out) + self.keep_alive)
            }
            _ => None,
        };
        [ping, self.outbox.next_expiry()].into_iter().flatten().min()
    }

    fn pings(&self) -> bool {
        !self.keep_alive.is_zero() && matches!(self.state, State::Up | State::Draining(_))
    }

    /// Does what is due. Read before it: what waits in the socket is a sign of life.
    pub fn timer(&mut self, now: Instant) -> std::result::Result<(), Fault> {
        for Completed { id, tag } in self.outbox.expire(now) {
            let error =
                Error::new(ErrorKind::Expired, "the time to live ended before the hub acknowledged it");
            self.events.push_back(Event::Done { tag, id, outcome: Err(error) });
        }
        match self.ping {
            Ping::Sent(at) if now >= at + self.settings.ping_timeout => return Err(Fault::KeepAlive),
            Ping::Idle
                if self.greeted
                    && self.pings()
                    && now >= self.last_in.min(self.last_out) + self.keep_alive =>
            {
                self.ping = Ping::Due;
            }
            _ => {}
        }
        Ok(())
    }
}
