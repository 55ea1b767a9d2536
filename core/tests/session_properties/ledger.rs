//! What was accepted, and what every byte and event of the session must be by it.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::BytesMut;
use iothub_mqtt::mqtt::{Drain, Limits, Outcome, QoS, State};
use iothub_mqtt::{Error, ErrorKind};
use rumqttc::mqttbytes::v4::Packet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AtMostOnce,
    AtLeastOnce,
    Urgent(QoS),
    Subscribe(String, QoS),
    Unsubscribe(String),
}

#[derive(Debug)]
struct Operation {
    kind: Kind,
    id: u16,
    size: usize,
    expiry: Option<Instant>,
    done: Option<Result<(), ErrorKind>>,
    /// Written in the session that the client believes the server to keep.
    attempted: bool,
    /// Its answer was given to the session.
    answered: bool,
}

/// One connection, as the client's bytes show it.
#[derive(Default)]
struct Connection {
    clean: bool,
    pipelined: bool,
    written: BytesMut,
    said_connect: bool,
    said_disconnect: bool,
    greeted: bool,
    /// A CONNACK was heard, good or bad.
    told: bool,
    /// Packet ids in use, with the operation, `None` for a SUBSCRIBE of the session's own.
    in_use: BTreeMap<u16, Option<u32>>,
    last: Option<u32>,
    last_urgent: Option<u32>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    operations: Vec<Operation>,
    connection: Connection,
    closed: bool,
}

impl Ledger {
    pub(crate) fn accept(&mut self, kind: Kind, id: u16, size: usize, expiry: Option<Instant>) {
        assert!(!self.closed);
        self.operations.push(Operation {
            kind,
            id,
            size,
            expiry,
            done: None,
            attempted: false,
            answered: false,
        });
    }

    pub(crate) fn next_tag(&self) -> u32 {
        self.operations.len() as u32
    }

    pub(crate) fn open(&mut self, clean: bool, pipelined: bool) {
        self.connection = Connection { clean, pipelined, ..Connection::default() };
        // Nobody listened to it: the answer will come again.
        self.operations.iter_mut().filter(|o| o.done.is_none()).for_each(|o| o.answered = false);
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.connection.in_use.clear();
    }

    fn in_flight(&self) -> impl Iterator<Item = &Operation> {
        let tags = self.connection.in_use.values().flatten();
        tags.map(|tag| &self.operations[*tag as usize]).filter(|o| o.kind == Kind::AtLeastOnce)
    }

    /// Messages that hold a place in the queue: not complete, or expired in flight. And requests.
    pub(crate) fn places(&self) -> (usize, usize, usize) {
        let mut messages = (0, 0);
        let mut requests = 0;
        for operation in &self.operations {
            let in_flight = self.connection.in_use.contains_key(&operation.id)
                && self.connection.in_use[&operation.id]
                    .is_some_and(|tag| std::ptr::eq(&self.operations[tag as usize], operation));
            let holds = operation.done.is_none() || in_flight;
            match operation.kind {
                // Complete by being written.
                Kind::AtMostOnce | Kind::Urgent(QoS::AtMostOnce) if operation.attempted => {}
                Kind::AtMostOnce | Kind::AtLeastOnce if holds => {
                    messages.0 += 1;
                    messages.1 += operation.size;
                }
                Kind::Urgent(_) | Kind::Subscribe(..) | Kind::Unsubscribe(_) if holds => requests += 1,
                _ => {}
            }
        }
        (messages.0, messages.1, requests)
    }

    /// What the session wrote while it was in `state`.
    pub(crate) fn wrote(&mut self, bytes: &[u8], state: State, limits: &Limits) {
        self.connection.written.extend_from_slice(bytes);
        while !self.connection.written.is_empty() {
            let packet = Packet::read(&mut self.connection.written, 1 << 20).unwrap();
            self.check_written(packet, state, limits);
        }
    }

    fn check_written(&mut self, packet: Packet, state: State, limits: &Limits) {
        let connection = &mut self.connection;
        assert!(!connection.said_disconnect, "{packet:?} behind DISCONNECT");
        assert_eq!(connection.said_connect, !matches!(packet, Packet::Connect(_)));
        let before_connack = matches!(packet, Packet::Connect(_))
            || connection.pipelined
            || state == State::Draining(Drain::Now);
        assert!(connection.greeted || before_connack, "{packet:?} before CONNACK");
        match packet {
            Packet::Connect(_) => connection.said_connect = true,
            Packet::Disconnect => {
                connection.said_disconnect = true;
                match state {
                    State::Draining(Drain::Now) => {}
                    State::Draining(Drain::InFlight) => assert_eq!(self.in_flight().count(), 0),
                    State::Draining(Drain::Everything) => assert_eq!(self.places(), (0, 0, 0)),
                    other => panic!("DISCONNECT in {other:?}"),
                }
            }
            Packet::Publish(publish) => {
                let tag = u32::from_be_bytes(publish.payload[..4].try_into().unwrap());
                let greeted = connection.greeted;
                let operation = &mut self.operations[tag as usize];
                let urgent = matches!(operation.kind, Kind::Urgent(_));
                assert_ne!(state, State::Draining(Drain::Now));
                assert!(urgent || state != State::Draining(Drain::InFlight));
                let last = if urgent { &mut connection.last_urgent } else { &mut connection.last };
                assert!(*last < Some(tag), "{tag} behind {last:?}");
                *last = Some(tag);
                assert!(operation.done.is_none(), "{tag} was sent though it is {:?}", operation.done);
                let once = [Kind::AtMostOnce, Kind::Urgent(QoS::AtMostOnce)].contains(&operation.kind);
                assert_eq!(publish.qos == QoS::AtMostOnce, once);
                if once {
                    operation.attempted = true;
                    return;
                }
                assert_eq!(publish.pkid, operation.id);
                assert_eq!(publish.dup, operation.attempted && greeted, "DUP of {tag}");
                operation.attempted = true;
                self.use_id(publish.pkid, Some(tag));
                let count = self.in_flight().count();
                let bytes: usize = self.in_flight().map(|o| o.size).sum();
                assert!(urgent || count <= limits.in_flight, "{count} in flight");
                assert!(urgent || count == 1 || bytes <= limits.in_flight_bytes, "{bytes} bytes in flight");
            }
            Packet::Subscribe(subscribe) => {
                let filter = &subscribe.filters[0];
                let kind = Kind::Subscribe(filter.path.clone(), filter.qos);
                self.request(subscribe.pkid, &kind);
            }
            Packet::Unsubscribe(unsubscribe) => {
                let kind = Kind::Unsubscribe(unsubscribe.topics[0].clone());
                self.request(unsubscribe.pkid, &kind);
            }
            Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubComp(_) | Packet::PingReq => {}
            other => panic!("a client does not send {other:?}"),
        }
    }

    fn request(&mut self, id: u16, kind: &Kind) {
        let waits = |o: &Operation| o.id == id && o.done.is_none() && o.kind == *kind;
        let tag = self.operations.iter().rposition(waits).map(|tag| tag as u32);
        assert!(tag.is_some() || matches!(kind, Kind::Subscribe(..)));
        self.use_id(id, tag);
    }

    fn use_id(&mut self, id: u16, tag: Option<u32>) {
        let before = self.connection.in_use.insert(id, tag);
        assert_eq!(before, None, "id {id} is in use");
    }

    /// The client does not know what session the server keeps.
    pub(crate) fn is_unsure(&self) -> bool {
        self.connection.said_connect && !self.connection.told
    }

    /// What is about to be given to the session, which listens or has ended already.
    pub(crate) fn heard(&mut self, packet: &Packet, listens: bool) {
        match packet {
            Packet::ConnAck(_) if !listens => {}
            Packet::ConnAck(ack) if ack.code as u8 != 0 => self.connection.told = true,
            Packet::ConnAck(ack) => {
                self.connection.told = true;
                self.connection.greeted = true;
                if !ack.session_present || self.connection.clean {
                    for (tag, operation) in (0..).zip(&mut self.operations) {
                        operation.attempted = self.connection.in_use.get(&operation.id) == Some(&Some(tag));
                    }
                }
            }
            // DISCONNECT went out before CONNACK came: nothing is listened to.
            _ if !self.connection.greeted => {}
            Packet::PubAck(ack) => self.answered(ack.pkid),
            Packet::SubAck(ack) => self.answered(ack.pkid),
            Packet::UnsubAck(ack) => self.answered(ack.pkid),
            _ => {}
        }
    }

    fn answered(&mut self, id: u16) {
        if let Some(Some(tag)) = self.connection.in_use.remove(&id) {
            self.operations[tag as usize].answered = true;
        }
    }

    /// Nothing that was answered waits for its completion.
    pub(crate) fn check_answered(&self) {
        let forgotten = self.operations.iter().position(|o| o.answered && o.done.is_none());
        assert_eq!(forgotten, None, "was answered and has not completed");
    }

    pub(crate) fn completed(&mut self, tag: u32, id: u16, outcome: Result<Outcome, Error>, now: Instant) {
        let operation = &mut self.operations[tag as usize];
        assert_eq!(operation.done, None, "{tag} completed twice");
        assert_eq!(operation.id, id);
        match (&operation.kind, &outcome) {
            (Kind::AtLeastOnce | Kind::Urgent(QoS::AtLeastOnce), Ok(Outcome::Published)) => {
                assert!(operation.answered, "{tag} by itself");
            }
            (Kind::AtMostOnce | Kind::Urgent(QoS::AtMostOnce), Ok(Outcome::Published)) => {}
            (Kind::AtMostOnce | Kind::Urgent(QoS::AtMostOnce), Err(error))
                if error.kind() == ErrorKind::Network => {}
            (Kind::AtMostOnce | Kind::AtLeastOnce, Err(error)) if error.kind() == ErrorKind::Expired => {
                assert!(operation.expiry.is_some_and(|at| at <= now), "{tag} expired early");
            }
            (Kind::Subscribe(filter, qos), Ok(Outcome::Subscribed(granted))) => {
                assert!(operation.answered);
                assert_eq!(granted, &[(filter != super::server::REFUSED).then_some(*qos)]);
            }
            (Kind::Unsubscribe(_), Ok(Outcome::Unsubscribed)) => assert!(operation.answered),
            (_, Err(error)) if error.kind() == ErrorKind::Closed => assert!(self.closed),
            (kind, outcome) => panic!("{kind:?} ended with {outcome:?}"),
        }
        operation.done = Some(outcome.map(drop).map_err(|error| error.kind()));
    }

    pub(crate) fn check_expired(&self, now: Instant) {
        let late = |o: &Operation| o.done.is_none() && o.expiry.is_some_and(|at| at <= now);
        assert_eq!(self.operations.iter().position(late), None, "is past its time and has not completed");
    }

    pub(crate) fn check_all_done(&self) {
        let open = self.operations.iter().position(|o| o.done.is_none());
        assert_eq!(open, None, "has not completed");
    }

    /// The messages that are said to be with the server.
    pub(crate) fn delivered(&self) -> impl Iterator<Item = u32> {
        let delivered = |o: &Operation| {
            [Kind::AtLeastOnce, Kind::Urgent(QoS::AtLeastOnce)].contains(&o.kind) && o.done == Some(Ok(()))
        };
        (0..).zip(&self.operations).filter(move |(_, o)| delivered(o)).map(|(tag, _)| tag)
    }

    pub(crate) fn is_urgent(&self, tag: u32) -> bool {
        matches!(self.operations[tag as usize].kind, Kind::Urgent(_))
    }

    /// Filters and QoS as the last word on each has it.
    pub(crate) fn subscriptions(&self) -> BTreeMap<String, QoS> {
        let mut wanted = BTreeMap::new();
        for operation in &self.operations {
            match &operation.kind {
                Kind::Subscribe(filter, qos) if filter != super::server::REFUSED => {
                    wanted.insert(filter.clone(), *qos);
                }
                Kind::Unsubscribe(filter) => {
                    wanted.remove(filter);
                }
                _ => {}
            }
        }
        wanted
    }
}
