//! What the application asks for, and what it gets.

use std::time::Duration;

use iothub_mqtt::ErrorKind;
use iothub_mqtt::mqtt::{Drain, Event, Message, Publish, QoS, State};

use super::super::ledger::Kind;
use super::{Got, World};

impl World {
    /// Whether what is not kept for a later connection may still leave on this one.
    fn takes_fleeting(&self) -> bool {
        matches!(self.session.state(), State::Handshake | State::Up | State::Draining(Drain::Everything))
    }

    pub(super) fn publish(&mut self, extra: usize, at_least_once: bool, ttl: Option<u64>) {
        let tag = self.ledger.next_tag();
        let mut payload = tag.to_be_bytes().to_vec();
        payload.resize(4 + extra, b'x');
        let (kind, qos) = if at_least_once {
            (Kind::AtLeastOnce, QoS::AtLeastOnce)
        } else {
            (Kind::AtMostOnce, QoS::AtMostOnce)
        };
        let remaining = 3 + payload.len() + if at_least_once { 2 } else { 0 };
        let size = remaining
            + match remaining {
                0..128 => 2,
                128..16_384 => 3,
                _ => 4,
            };
        let expiry = ttl.map(|seconds| self.now + Duration::from_secs(seconds));
        let (count, bytes, _) = self.ledger.places();
        let limits = &self.settings.limits;
        let expected = if !at_least_once && !self.takes_fleeting() {
            Err(ErrorKind::State)
        } else if size > limits.bytes {
            Err(ErrorKind::TooLarge)
        } else if count >= limits.messages || bytes + size > limits.bytes {
            Err(ErrorKind::Full)
        } else {
            Ok(())
        };
        let before = self.session.queued();
        let publish = Publish { topic: "t", payload: &payload, qos, retain: false };
        match self.session.publish(&publish, expiry, tag) {
            Ok(id) => {
                assert_eq!(expected, Ok(()));
                self.ledger.accept(kind, id, size, expiry);
            }
            Err(refused) => {
                assert_eq!((expected, tag), (Err(refused.error.kind()), refused.tag));
                assert_eq!(self.session.queued(), before);
            }
        }
    }

    pub(super) fn publish_urgent(&mut self, at_least_once: bool) {
        let tag = self.ledger.next_tag();
        let payload = tag.to_be_bytes();
        let qos = if at_least_once { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        let connected = self.takes_fleeting();
        let publish = Publish { topic: "t", payload: &payload, qos, retain: false };
        match self.session.publish_urgent(&publish, tag) {
            Ok(id) => self.ledger.accept(Kind::Urgent(qos), id, 0, None),
            Err(refused) => {
                assert!(!at_least_once && !connected, "{:?}", refused.error);
                assert_eq!((refused.error.kind(), refused.tag), (ErrorKind::State, tag));
            }
        }
    }

    pub(super) fn subscribe(&mut self, filter: usize, qos: u8) {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)];
        let filter = format!("f{filter}");
        let tag = self.ledger.next_tag();
        let id = self.session.subscribe(vec![(filter.clone(), qos)], tag).unwrap();
        self.ledger.accept(Kind::Subscribe(filter, qos), id, 0, None);
    }

    pub(super) fn unsubscribe(&mut self, filter: usize) {
        let filter = format!("f{filter}");
        let tag = self.ledger.next_tag();
        let id = self.session.unsubscribe(vec![filter.clone()], tag).unwrap();
        self.ledger.accept(Kind::Unsubscribe(filter), id, 0, None);
    }

    pub(super) fn acknowledge(&mut self, back: usize) {
        let Some(index) = self.got.len().checked_sub(back + 1) else { return };
        let alive = matches!(self.session.state(), State::Up | State::Draining(_));
        let got = &mut self.got[index];
        let valid = alive && got.connection == self.connection && !got.acknowledged;
        match self.session.acknowledge(got.delivery) {
            Ok(()) => {
                assert!(valid, "{} was acknowledged", got.number);
                got.acknowledged = true;
                self.server.acknowledged.insert(got.number);
            }
            Err(error) => {
                assert!(!valid, "{} was refused", got.number);
                assert_eq!(error.kind(), ErrorKind::NotFound);
            }
        }
    }

    pub(super) fn events(&mut self) {
        for event in self.session.take_events() {
            match event {
                Event::Connected { .. } => {}
                Event::Done { tag, id, outcome } => self.ledger.completed(tag, id, outcome, self.now),
                Event::Message(message) => self.message(&message),
            }
        }
    }

    fn message(&mut self, message: &Message) {
        let number = u32::from_be_bytes(message.payload[..4].try_into().unwrap());
        let Some(delivery) = message.delivery else {
            assert_eq!(message.qos, QoS::AtMostOnce);
            return;
        };
        let mut earlier = self.got.iter().filter(|got| got.number == number);
        let once_more = match message.qos {
            QoS::ExactlyOnce => {
                earlier.any(|got| got.acknowledged && !got.unsure || got.connection == self.connection)
            }
            _ => earlier.any(|got| got.connection == self.connection),
        };
        assert!(!once_more, "{number} was delivered again");
        self.got.push(Got {
            delivery,
            number,
            connection: self.connection,
            acknowledged: false,
            unsure: false,
        });
    }
}
