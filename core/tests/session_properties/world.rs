//! One session, its host, the network and the server, moved step by step.

mod application;

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use iothub_mqtt::mqtt::{Connect, Delivery, Drain, Fault, Publish, QoS, Session, Settings, State};
use rumqttc::mqttbytes::v4::Packet;

use super::ledger::Ledger;
use super::program::{Op, Setup};
use super::server::Server;

/// A message that the application got.
struct Got {
    delivery: Delivery,
    number: u32,
    connection: u32,
    acknowledged: bool,
    /// After it the client has lost track of the server's session.
    unsure: bool,
}

pub(crate) struct World {
    session: Session<u32>,
    settings: Settings,
    keep_alive: u16,
    now: Instant,
    connection: u32,
    /// From the session, with the host.
    host: BytesMut,
    to_server: BytesMut,
    to_client: BytesMut,
    /// With the session, not a whole packet yet; and a copy for the ledger.
    incoming: BytesMut,
    heard: BytesMut,
    last_in: Instant,
    server: Server,
    ledger: Ledger,
    got: Vec<Got>,
}

impl World {
    /// `warm_up` packet ids are used up before.
    pub(crate) fn new(setup: &Setup, warm_up: u32) -> Self {
        let settings = Settings { limits: setup.limits, pipelined: setup.pipelined, ..Settings::default() };
        let now = Instant::now();
        let mut world = Self {
            session: Session::new(settings.clone(), now),
            settings,
            keep_alive: setup.keep_alive,
            now,
            connection: 0,
            host: BytesMut::new(),
            to_server: BytesMut::new(),
            to_client: BytesMut::new(),
            incoming: BytesMut::new(),
            heard: BytesMut::new(),
            last_in: now,
            server: Server::default(),
            ledger: Ledger::default(),
            got: Vec::new(),
        };
        if warm_up > 0 {
            world.connect(false, false, false, false);
            world.settle(true);
            let publish = Publish { topic: "t", payload: b"warm", qos: QoS::AtMostOnce, retain: false };
            for _ in 0..warm_up {
                world.session.publish(&publish, None, 0).unwrap();
                world.session.output(&mut BytesMut::new(), now);
            }
            world.session.take_events();
        }
        world
    }

    pub(crate) fn step(&mut self, op: &Op) {
        match *op {
            Op::Publish { extra, at_least_once, ttl } => self.publish(extra, at_least_once, ttl),
            Op::PublishUrgent { at_least_once } => self.publish_urgent(at_least_once),
            Op::Subscribe { filter, qos } => self.subscribe(filter, qos),
            Op::Unsubscribe { filter } => self.unsubscribe(filter),
            Op::Acknowledge { back } => self.acknowledge(back),
            Op::Write(count) => {
                self.write(count);
            }
            Op::Serve(count) => {
                self.serve(count);
            }
            Op::Answer { count, skip } => self.server.answer(count, skip, &mut self.to_client),
            Op::Deliver(count) => {
                self.deliver(count);
            }
            Op::Settle { answers } => self.settle(answers),
            Op::Message { qos } => self.server.send(qos),
            Op::Advance { seconds, late } => self.advance(seconds, late),
            Op::Connect { clean, forgotten, refused, rude } => self.connect(clean, forgotten, refused, rude),
            Op::Drop { arrives } => {
                if arrives {
                    self.serve(usize::MAX);
                }
                self.drop_connection();
            }
            Op::Disconnect(drain) => self.session.disconnect(drain),
            Op::Hostile(which) => self.hostile(which),
        }
        self.events();
        self.check();
    }

    /// Asks the session for bytes if the host has none, and gives the network some.
    fn write(&mut self, count: usize) -> bool {
        if self.host.is_empty() {
            let promised = self.session.has_output();
            let state = self.session.state();
            self.session.output(&mut self.host, self.now);
            assert_eq!(promised, !self.host.is_empty(), "has_output");
            self.ledger.wrote(&self.host, state, &self.settings.limits);
        }
        let count = count.min(self.host.len());
        self.to_server.extend_from_slice(&self.host[..count]);
        self.host.advance(count);
        if self.host.is_empty() {
            self.session.flushed(self.now);
        }
        count > 0
    }

    fn serve(&mut self, count: usize) -> bool {
        let count = count.min(self.to_server.len());
        self.server.receive(&self.to_server[..count]);
        self.to_server.advance(count);
        count > 0
    }

    fn deliver(&mut self, count: usize) -> bool {
        let count = count.min(self.to_client.len());
        if count == 0 || self.session.state() == State::Down {
            return false;
        }
        let bytes = self.to_client.split_to(count);
        self.incoming.extend_from_slice(&bytes);
        self.heard.extend_from_slice(&bytes);
        self.last_in = self.now;
        let listens = !matches!(self.session.state(), State::Down | State::Finished);
        let mut refused = None;
        while let Ok(packet) = Packet::read(&mut self.heard, 1 << 20) {
            if let Packet::ConnAck(ack) = &packet
                && ack.code as u8 != 0
            {
                refused = Some(Fault::Refused(ack.code as u8));
            }
            self.ledger.heard(&packet, listens);
        }
        let result = self.session.input(&mut self.incoming, self.now);
        assert_eq!(self.incoming, self.heard, "what is not a whole packet is left");
        self.events();
        if listens {
            assert_eq!(result.err(), refused);
            self.ledger.check_answered();
        }
        if refused.is_some() {
            self.drop_connection();
        }
        true
    }

    fn settle(&mut self, answers: bool) {
        loop {
            let mut moved = false;
            while self.write(usize::MAX) {
                moved = true;
            }
            moved |= self.serve(usize::MAX);
            if answers {
                moved |= !self.server.is_silent();
                self.server.answer(usize::MAX, 0, &mut self.to_client);
            }
            moved |= self.deliver(usize::MAX);
            if !moved {
                break;
            }
        }
    }

    fn advance(&mut self, seconds: u64, late: bool) {
        let target = self.now + Duration::from_secs(seconds);
        while let Some(deadline) = self.session.deadline() {
            if deadline > target {
                break;
            }
            self.now = if late { target } else { deadline.max(self.now) };
            if late {
                // A host that comes late reads first.
                self.deliver(usize::MAX);
            }
            match self.session.timer(self.now) {
                Ok(()) => {
                    let next = self.session.deadline();
                    assert!(next.is_none_or(|next| next > self.now), "the timer has left its work");
                }
                Err(fault) => {
                    assert_eq!(fault, Fault::KeepAlive);
                    assert!(self.now >= self.last_in + self.settings.ping_timeout);
                    self.events();
                    self.drop_connection();
                }
            }
            self.events();
            self.ledger.check_expired(self.now);
        }
        self.now = target;
    }

    fn connect(&mut self, clean: bool, forgotten: bool, refused: bool, rude: bool) {
        match self.session.state() {
            State::Down => {}
            _ if rude => self.forget_connection(),
            // The host closes the stream behind DISCONNECT.
            State::Finished if self.host.is_empty() => {
                self.serve(usize::MAX);
                self.drop_connection();
            }
            _ => return,
        }
        let connect = Connect {
            client_id: "device".into(),
            clean_session: clean,
            keep_alive: self.keep_alive,
            ..Connect::default()
        };
        self.session.start(&connect, self.now).unwrap();
        self.events();
        self.connection += 1;
        self.last_in = self.now;
        self.server.accept(forgotten, refused);
        self.ledger.open(clean, self.settings.pipelined);
    }

    fn drop_connection(&mut self) {
        self.forget_connection();
        self.session.stop();
        self.events();
    }

    fn forget_connection(&mut self) {
        if self.ledger.is_unsure() {
            self.got.iter_mut().for_each(|got| got.unsure = true);
        }
        for bytes in
            [&mut self.host, &mut self.to_server, &mut self.to_client, &mut self.incoming, &mut self.heard]
        {
            bytes.clear();
        }
        self.server.hang_up();
        self.ledger.open(false, false);
    }

    /// Bytes that no server may send; the host hangs up.
    fn hostile(&mut self, which: usize) {
        let listens = matches!(self.session.state(), State::Up | State::Draining(_));
        if !listens || !self.incoming.is_empty() {
            return;
        }
        let bytes: &[u8] = match which % 8 {
            0 => &[0x40, 2, 0, 0],
            1 => &[0x44, 2, 0, 1],
            2 => &[0x10, 0],
            3 => &[0x30, 4, 0, 9, b'a', b'b'],
            4 => &[0x90, 2, 0, 1],
            5 => &[0xF0, 0],
            6 => &[0x50, 2, 0, 1],
            _ => &[0x30, 0xFF, 0xFF, 0xFF, 0xFF],
        };
        self.incoming.extend_from_slice(bytes);
        let result = self.session.input(&mut self.incoming, self.now);
        assert!(matches!(result, Err(Fault::Protocol(_))), "{bytes:?} gave {result:?}");
        self.drop_connection();
    }

    /// What holds after every step.
    fn check(&mut self) {
        let (messages, bytes, requests) = self.ledger.places();
        let limits = &self.settings.limits;
        assert!(messages <= limits.messages && bytes <= limits.bytes);
        let (queued, _) = self.session.queued();
        // The session may have one SUBSCRIBE of its own.
        assert!((messages + requests..=messages + requests + 1).contains(&queued), "{queued} are queued");
        if self.host.is_empty() && !self.session.has_output() {
            let before = self.session.state();
            self.session.output(&mut self.host, self.now);
            assert!(self.host.is_empty() && self.session.state() == before, "has_output kept something back");
        }
    }

    /// The faults are over.
    pub(crate) fn finish(mut self, closes: bool) {
        if closes {
            self.ledger.close();
            self.session.close();
            self.events();
            self.ledger.check_all_done();
            assert_eq!(self.session.queued(), (0, 0));
            self.settle(true);
            self.session.disconnect(Drain::Everything);
            self.settle(true);
            assert!(matches!(self.session.state(), State::Down | State::Handshake | State::Finished));
            return;
        }
        self.drop_connection();
        self.connect(false, false, false, false);
        while {
            self.settle(true);
            let waiting = self.got.iter().rev().take_while(|got| got.connection == self.connection);
            waiting.filter(|got| !got.acknowledged).count() > 0
        } {
            (0..self.got.len()).for_each(|back| self.acknowledge(back));
        }
        assert_eq!(self.session.queued(), (0, 0));
        self.ledger.check_all_done();
        assert_eq!(self.server.unsettled(), 0, "messages for the device are not settled");
        assert_eq!(self.server.subscriptions(), self.ledger.subscriptions());
        for urgent in [false, true] {
            let arrived = self.server.arrived.iter().filter(|tag| self.ledger.is_urgent(**tag) == urgent);
            assert!(arrived.is_sorted(), "first arrivals {:?}", self.server.arrived);
        }
        let missing = self.ledger.delivered().find(|tag| !self.server.has_arrived(*tag));
        assert_eq!(missing, None, "never arrived");
        self.session.disconnect(Drain::Everything);
        self.settle(true);
        assert_eq!(self.session.state(), State::Finished);
    }
}
