//! Messages that were received and not yet acknowledged, in the order of their arrival.

use std::collections::{BTreeSet, VecDeque};

use bytes::BytesMut;

use super::packet;
use crate::error::{Error, ErrorKind, Result};

/// There are no more packet ids than this, so a server with more of them unanswered is broken.
const MOST: usize = 65_535;

/// Names one received QoS 1 or 2 message. Never reused in the life of a client, so that an
/// acknowledgement cannot hit another message that got the same packet id later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery(pub u64);

struct Entry {
    id: u16,
    exactly_once: bool,
    acknowledged: bool,
}

pub(super) struct Inbound {
    /// Delivery number of `waiting[0]`; everything below is settled or belongs to an earlier connection.
    base: u64,
    waiting: VecDeque<Entry>,
    /// QoS 2 ids between PUBLISH and PUBREL: a second PUBLISH with such an id is a copy.
    unreleased: BTreeSet<u16>,
    released: Vec<u16>,
}

impl Default for Inbound {
    fn default() -> Self {
        // No delivery has the number 0, which may stand for none.
        Self { base: 1, waiting: VecDeque::new(), unreleased: BTreeSet::new(), released: Vec::new() }
    }
}

impl Inbound {
    /// Whether the server has sent more than MQTT lets it send without an answer.
    pub(super) fn is_flooded(&self) -> bool {
        self.waiting.len() > MOST || self.released.len() > MOST
    }

    /// `None` for a copy of a QoS 2 message that was delivered already.
    pub(super) fn receive(&mut self, id: u16, exactly_once: bool) -> Option<Delivery> {
        if exactly_once && !self.unreleased.insert(id) {
            if !self.waiting.iter().any(|entry| entry.exactly_once && entry.id == id) {
                self.waiting.push_back(Entry { id, exactly_once, acknowledged: true });
            }
            return None;
        }
        self.waiting.push_back(Entry { id, exactly_once, acknowledged: false });
        Some(Delivery(self.base + self.waiting.len() as u64 - 1))
    }

    pub(super) fn acknowledge(&mut self, delivery: Delivery) -> Result<()> {
        let entry = delivery
            .0
            .checked_sub(self.base)
            .and_then(|offset| self.waiting.get_mut(usize::try_from(offset).ok()?));
        match entry {
            Some(entry) if !entry.acknowledged => {
                entry.acknowledged = true;
                Ok(())
            }
            _ => Err(Error::new(
                ErrorKind::NotFound,
                "delivery: acknowledged already, or received on an earlier connection (it comes again)",
            )),
        }
    }

    pub(super) fn release(&mut self, id: u16) {
        self.unreleased.remove(&id);
        self.released.push(id);
    }

    /// Whether `write` would write something.
    pub(super) fn is_ready(&self) -> bool {
        !self.released.is_empty() || self.waiting.front().is_some_and(|entry| entry.acknowledged)
    }

    /// Acknowledgements leave in the order in which the messages came (MQTT-4.6.0-2).
    pub(super) fn write(&mut self, out: &mut BytesMut) {
        while let Some(entry) = self.waiting.front().filter(|entry| entry.acknowledged) {
            if entry.exactly_once {
                packet::write_pubrec(entry.id, out);
            } else {
                packet::write_puback(entry.id, out);
            }
            self.base += 1;
            self.waiting.pop_front();
        }
        for id in self.released.drain(..) {
            packet::write_pubcomp(id, out);
        }
    }

    /// The connection is gone: the server sends again what it has no acknowledgement for.
    pub(super) fn connection_lost(&mut self) {
        self.base += self.waiting.len() as u64;
        // A QoS 2 message that the application has not acknowledged is delivered again.
        for entry in self.waiting.drain(..) {
            if entry.exactly_once && !entry.acknowledged {
                self.unreleased.remove(&entry.id);
            }
        }
        self.released.clear();
    }

    pub(super) fn session_lost(&mut self) {
        self.unreleased.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(inbound: &mut Inbound) -> Vec<u8> {
        let mut out = BytesMut::new();
        inbound.write(&mut out);
        out.to_vec()
    }

    #[test]
    fn acknowledgements_leave_in_arrival_order() {
        let mut inbound = Inbound::default();
        let first = inbound.receive(7, false).unwrap();
        let second = inbound.receive(8, false).unwrap();
        inbound.acknowledge(second).unwrap();
        assert!(written(&mut inbound).is_empty());
        inbound.acknowledge(first).unwrap();
        assert_eq!(written(&mut inbound), [0x40, 2, 0, 7, 0x40, 2, 0, 8]);
        assert_eq!(inbound.acknowledge(first).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn an_acknowledgement_of_an_earlier_connection_acknowledges_nothing() {
        let mut inbound = Inbound::default();
        let old = inbound.receive(1, false).unwrap();
        inbound.connection_lost();
        let new = inbound.receive(1, false).unwrap();
        assert_ne!(old, new);
        assert_eq!(inbound.acknowledge(old).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(written(&mut inbound).is_empty());
    }

    #[test]
    fn a_copy_of_an_exactly_once_message_is_not_delivered_twice() {
        let mut inbound = Inbound::default();
        let delivery = inbound.receive(3, true).unwrap();
        inbound.acknowledge(delivery).unwrap();
        assert_eq!(written(&mut inbound), [0x50, 2, 0, 3]);
        inbound.connection_lost();
        assert_eq!(inbound.receive(3, true), None);
        assert_eq!(written(&mut inbound), [0x50, 2, 0, 3]);
        inbound.release(3);
        assert_eq!(written(&mut inbound), [0x70, 2, 0, 3]);
        assert!(inbound.receive(3, true).is_some());
    }
}
