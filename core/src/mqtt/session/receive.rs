//! What each packet of the server does to a session.

use std::time::Instant;

use super::super::event::{Event, Fault, Message, Outcome, State};
use super::super::packet::{Incoming, QoS};
use super::super::slot::Request;
use super::Session;
use crate::error::{Error, ErrorKind};

type Result<T> = std::result::Result<T, Fault>;

fn unexpected<T>(what: &str) -> Result<T> {
    Err(Fault::Protocol(format!("{what} that nothing was waiting for")))
}

impl<T> Session<T> {
    pub(super) fn receive(&mut self, incoming: Incoming, now: Instant) -> Result<()> {
        let is_answer =
            matches!(incoming, Incoming::PubAck(_) | Incoming::SubAck { .. } | Incoming::UnsubAck(_));
        let is_last_chance = matches!(&incoming, Incoming::Publish { qos: QoS::AtMostOnce, .. });
        match self.state {
            State::Down => return Ok(()),
            // What the server has accepted counts even while we leave, and what it will not send again;
            // the rest it will.
            State::Finished if !self.greeted || !is_answer && !is_last_chance => return Ok(()),
            _ => {}
        }
        if self.greeted == matches!(incoming, Incoming::ConnAck { .. }) {
            return unexpected(if self.greeted { "a second CONNACK" } else { "a packet before CONNACK" });
        }
        match incoming {
            Incoming::ConnAck { session_present, code } => {
                self.answered = true;
                if code != 0 {
                    return Err(Fault::Refused(code));
                }
                self.connected(session_present && !self.clean_session);
            }
            Incoming::PubAck(id) => match self.outbox.acknowledged(id, now) {
                Some(Some(tag)) => self.done(tag, id, Outcome::Published),
                // It has expired, or was closed.
                Some(None) => {}
                None if self.closed => {}
                None => return unexpected("a PUBACK"),
            },
            Incoming::SubAck { id, granted } => self.subscribed(id, granted)?,
            Incoming::UnsubAck(id) => match self.outbox.answered(id, false) {
                Some((request, tag)) => {
                    if let Request::Unsubscribe(filters) = request {
                        self.subscriptions.remove(&filters);
                    }
                    if let Some(tag) = tag {
                        self.done(tag, id, Outcome::Unsubscribed);
                    }
                }
                None if self.closed => {}
                None => return unexpected("an UNSUBACK"),
            },
            Incoming::Publish { topic, payload, qos, retain, dup, id } => {
                let delivery = match qos {
                    QoS::AtMostOnce => None,
                    QoS::AtLeastOnce => self.inbound.receive(id, false),
                    QoS::ExactlyOnce => match self.inbound.receive(id, true) {
                        Some(delivery) => Some(delivery),
                        None => return Ok(()),
                    },
                };
                let message = Message { topic, payload, qos, retain, dup, id, delivery };
                self.events.push_back(Event::Message(message));
            }
            Incoming::PubRel(id) => self.inbound.release(id),
            Incoming::PingResp => {}
        }
        if self.inbound.is_flooded() {
            return Err(Fault::Protocol(
                "more messages without an acknowledgement than there are ids".into(),
            ));
        }
        Ok(())
    }

    fn done(&mut self, tag: T, id: u16, outcome: Outcome) {
        self.events.push_back(Event::Done { tag, id, outcome: Ok(outcome) });
    }

    fn connected(&mut self, session_present: bool) {
        self.greeted = true;
        if self.state == State::Handshake {
            self.state = State::Up;
        }
        if !session_present {
            self.outbox.session_lost();
            self.inbound.session_lost();
            self.subscriptions.server_forgot();
        }
        if self.settings.resubscribe {
            let missing = self.subscriptions.to_restore(&self.outbox.pending_filters());
            if missing.is_empty() {
                self.subscriptions.server_knows();
            } else {
                // If there is no room for it now, the next connection tries again.
                let _ = self.outbox.restore(missing);
            }
        }
        self.events.push_back(Event::Connected { session_present });
    }

    fn subscribed(&mut self, id: u16, granted: Vec<Option<QoS>>) -> Result<()> {
        let (filters, restored, tag) = match self.outbox.answered(id, true) {
            Some((Request::Subscribe(filters), tag)) => (filters, false, tag),
            Some((Request::Restore(filters), tag)) => (filters, true, tag),
            _ if self.closed => return Ok(()),
            _ => return unexpected("a SUBACK"),
        };
        if filters.len() != granted.len() {
            // Over for the caller: sent again it would end the next connection, too.
            let what = "a SUBACK with a wrong number of codes";
            if let Some(tag) = tag {
                let outcome = Err(Error::new(ErrorKind::Protocol, what));
                self.events.push_back(Event::Done { tag, id, outcome });
            }
            return Err(Fault::Protocol(what.into()));
        }
        if restored {
            self.subscriptions.server_knows();
        } else {
            self.subscriptions.granted(filters, &granted);
        }
        if let Some(tag) = tag {
            self.done(tag, id, Outcome::Subscribed(granted));
        }
        Ok(())
    }
}
