//! What the client owes the server: one ring of slots that holds order, packet ids, the in-flight
//! window and the limits. Every known way to lose or reorder a message comes from having two.
//!
//! A slot is made when an operation is accepted and keeps its sequence number, and so its packet
//! id, for life: `id = (seq - 1) % 65535 + 1`. An acknowledgement is found by subtraction.

mod writing;

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::counters::Counters;
use super::expiry::Expiries;
use super::limits::{Limits, Load};
use super::packet::{self, Publish, QoS};
use super::slot::{Completed, Kind, Progress, Request, Slot, packet_id};
use crate::error::{Error, ErrorKind};
pub(super) use writing::Turn;

type Result<T, E = Error> = std::result::Result<T, E>;

/// More slots than this would make two of them share a packet id.
const MOST_SLOTS: usize = 65_000;
/// When several messages wait they are encoded into shared pieces of this size, so that a small
/// one costs no allocation.
const CHUNK: usize = 16 * 1024;

/// An operation that was not accepted, with what the caller gave for its completion.
#[derive(Debug)]
pub struct Refused<T> {
    pub error: Error,
    pub tag: T,
}

pub(super) struct Outbox<T> {
    limits: Limits,
    slots: VecDeque<Slot<T>>,
    /// Sequence number of `slots[0]`; the first ever is 1.
    base: u64,
    /// The first message that waits, or the end: everything before it is in flight, done or urgent.
    cursor: u64,
    /// What is to be sent on this connection without waiting for the window.
    unsent_urgent: VecDeque<u64>,
    messages: Load,
    urgent: Load,
    in_flight: Load,
    chunk: BytesMut,
    expiries: Expiries,
    pub(super) counters: Counters,
    /// The message whose acknowledgement is being timed, and when it was written.
    probe: Option<(u64, Instant)>,
}

fn find<T>(slots: &VecDeque<Slot<T>>, base: u64, seq: u64) -> Option<&Slot<T>> {
    slots.get(usize::try_from(seq.checked_sub(base)?).ok()?)
}

impl<T> Outbox<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: VecDeque::new(),
            base: 1,
            cursor: 1,
            unsent_urgent: VecDeque::new(),
            messages: Load::default(),
            urgent: Load::default(),
            in_flight: Load::default(),
            chunk: BytesMut::new(),
            expiries: Expiries::default(),
            counters: Counters::default(),
            probe: None,
        }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Operations that hold a place.
    pub(super) fn len(&self) -> usize {
        self.messages.count + self.urgent.count
    }

    /// Messages that are not acknowledged.
    pub(super) fn owed(&self) -> usize {
        let is_owed =
            |slot: &&Slot<T>| matches!(slot.kind, Kind::Urgent(_)) && slot.progress != Progress::Done;
        let urgent = if self.urgent.count == 0 { 0 } else { self.slots.iter().filter(is_owed).count() };
        self.messages.count + urgent
    }

    pub(super) fn bytes(&self) -> usize {
        self.messages.bytes + self.urgent.bytes
    }

    /// Whether something that was sent on this connection, or is urgent, is not answered.
    pub(super) fn awaits_answers(&self) -> bool {
        self.in_flight.count > 0 || self.urgent.count > 0
    }

    fn end(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    fn slot(&self, seq: u64) -> Option<&Slot<T>> {
        find(&self.slots, self.base, seq)
    }

    fn slot_mut(&mut self, seq: u64) -> Option<&mut Slot<T>> {
        self.slots.get_mut(usize::try_from(seq.checked_sub(self.base)?).ok()?)
    }

    /// The slot in flight that `id` names.
    fn answered_slot(&mut self, id: u16) -> Option<&mut Slot<T>> {
        let first = u64::from(packet_id(self.base));
        let offset = (u64::from(id) + 65_535 - first) % 65_535;
        let slot = self.slots.get_mut(offset as usize)?;
        (id != 0 && slot.progress == Progress::InFlight).then_some(slot)
    }

    fn check_ring(&self) -> Result<()> {
        if self.slots.len() < MOST_SLOTS {
            return Ok(());
        }
        // Reached when the oldest operation is not answered while tens of thousands behind it are.
        Err(Error::new(
            ErrorKind::Full,
            "too many operations wait behind one that the server does not answer",
        ))
    }

    fn push(&mut self, packet: Bytes, tag: Option<T>, kind: Kind) -> u64 {
        let seq = self.end();
        self.slots.push_back(Slot::new(packet, tag, kind));
        seq
    }

    /// The topic has been checked. Returns the packet id.
    pub(super) fn publish(
        &mut self,
        publish: &Publish<'_>,
        expiry: Option<Instant>,
        tag: T,
    ) -> Result<u16, Refused<T>> {
        let size = packet::publish_size(publish).and_then(|size| {
            self.limits.check(self.messages, size)?;
            self.check_ring()?;
            Ok(size)
        });
        let size = match size {
            Ok(size) => size,
            Err(error) => return Err(Refused { error, tag }),
        };
        let id = packet_id(self.end());
        if self.chunk.capacity() < size {
            self.chunk.reserve(if self.slots.is_empty() { size } else { size.max(CHUNK) });
        }
        packet::write_publish(publish, id, size, &mut self.chunk);
        let encoded = self.chunk.split().freeze();
        let kind = if publish.qos == QoS::AtMostOnce { Kind::AtMostOnce } else { Kind::AtLeastOnce };
        let seq = self.push(encoded, Some(tag), kind);
        self.messages.add(size);
        if let Some(at) = expiry {
            let (slots, base) = (&self.slots, self.base);
            self.expiries
                .add(at, seq, slots.len(), |seq| find(slots, base, seq).is_some_and(|slot| !slot.is_over()));
        }
        Ok(id)
    }

    /// As [`Outbox::publish`], past every message that waits and past the window.
    pub(super) fn publish_urgent(&mut self, publish: &Publish<'_>, tag: T) -> Result<u16, Refused<T>> {
        let size = packet::publish_size(publish).and_then(|size| {
            Limits::URGENT.check(self.urgent, size)?;
            self.check_ring()?;
            Ok(size)
        });
        match size {
            Ok(size) => {
                let mut encoded = BytesMut::with_capacity(size);
                packet::write_publish(publish, packet_id(self.end()), size, &mut encoded);
                Ok(self.push_urgent(encoded.freeze(), Kind::Urgent(publish.qos), Some(tag)))
            }
            Err(error) => Err(Refused { error, tag }),
        }
    }

    /// The filters have been checked. Returns the packet id.
    pub(super) fn request(&mut self, request: Request, tag: T) -> Result<u16, Refused<T>> {
        let encoded = self.encode(&request).and_then(|encoded| {
            Limits::URGENT.check(self.urgent, encoded.len())?;
            Ok(encoded)
        });
        match encoded {
            Ok(encoded) => Ok(self.push_urgent(encoded, Kind::Request(request), Some(tag))),
            Err(error) => Err(Refused { error, tag }),
        }
    }

    /// A SUBSCRIBE of the session's own, for this connection. There is one at a time, past the limits: without
    /// it the client would be deaf.
    pub(super) fn restore(&mut self, filters: Vec<(String, QoS)>) -> Result<()> {
        let request = Request::Restore(filters);
        let encoded = self.encode(&request)?;
        self.push_urgent(encoded, Kind::Request(request), None);
        Ok(())
    }

    /// As the next operation, if there is an id for it.
    fn encode(&self, request: &Request) -> Result<Bytes> {
        let id = packet_id(self.end());
        let mut encoded = BytesMut::new();
        match request {
            Request::Subscribe(filters) | Request::Restore(filters) => {
                packet::write_subscribe(id, filters, &mut encoded)?;
            }
            Request::Unsubscribe(filters) => packet::write_unsubscribe(id, filters, &mut encoded)?,
        }
        self.check_ring()?;
        Ok(encoded.freeze())
    }

    fn push_urgent(&mut self, encoded: Bytes, kind: Kind, tag: Option<T>) -> u16 {
        self.urgent.add(encoded.len());
        let seq = self.push(encoded, tag, kind);
        self.unsent_urgent.push_back(seq);
        self.move_cursor();
        packet_id(seq)
    }

    /// The filters of the requests that wait for the server.
    pub(super) fn pending_filters(&self) -> BTreeSet<&str> {
        let live = self.slots.iter().filter(|slot| slot.progress != Progress::Done);
        live.filter_map(Slot::request).flat_map(Request::filters).collect()
    }

    /// Whether something that waits was sent on an earlier connection.
    pub(super) fn has_sent(&self) -> bool {
        self.slots.iter().any(|slot| slot.sent && slot.progress != Progress::Done)
    }

    /// The server has kept nothing, so nothing counts as sent but what this connection has sent.
    pub(super) fn session_lost(&mut self) {
        for slot in &mut self.slots {
            slot.sent = slot.progress == Progress::InFlight;
        }
    }

    /// Nothing is in flight any more: what is not acknowledged is to be sent again, from the
    /// oldest. Returns the QoS 0 messages that were never sent.
    pub(super) fn connection_lost(&mut self) -> Vec<Completed<T>> {
        self.in_flight = Load::default();
        self.unsent_urgent.clear();
        self.probe = None;
        let mut lost = Vec::new();
        for (seq, slot) in (self.base..).zip(&mut self.slots) {
            if slot.progress == Progress::Done {
                continue;
            }
            slot.progress = Progress::Waiting;
            let load = if slot.is_urgent() { &mut self.urgent } else { &mut self.messages };
            // What is over has expired, or is the session's own: its place is free now.
            if slot.is_at_most_once() || slot.is_over() {
                let (tag, size) = slot.finish();
                load.remove(size);
                lost.extend(tag.map(|tag| Completed { id: packet_id(seq), tag }));
            } else if slot.is_urgent() {
                self.unsent_urgent.push_back(seq);
            }
        }
        self.cursor = self.base;
        self.pop_done();
        lost
    }

    /// The PUBACK for `id`. `None` if no message with that id is in flight; the tag is missing
    /// if the message has expired meanwhile.
    pub(super) fn acknowledged(&mut self, id: u16, now: Instant) -> Option<Option<T>> {
        let slot = self.answered_slot(id).filter(|slot| slot.request().is_none())?;
        let urgent = slot.is_urgent();
        let (tag, size) = slot.finish();
        if urgent {
            self.urgent.remove(size);
        } else {
            self.in_flight.remove(size);
            self.messages.remove(size);
            self.counters.acknowledged += 1;
        }
        if let Some((seq, since)) = self.probe
            && packet_id(seq) == id
        {
            self.counters.last_round_trip = Some(now.saturating_duration_since(since));
            self.probe = None;
        }
        self.pop_done();
        Some(tag)
    }

    /// The SUBACK (or else UNSUBACK) for `id`, with what was asked.
    pub(super) fn answered(&mut self, id: u16, suback: bool) -> Option<(Request, Option<T>)> {
        let slot = self.answered_slot(id)?;
        let request = slot.request()?;
        if suback == matches!(request, Request::Unsubscribe(_)) {
            return None;
        }
        let request = request.clone();
        let (tag, size) = slot.finish();
        self.urgent.remove(size);
        self.pop_done();
        Some((request, tag))
    }

    /// The cursor only moves forward within a connection, so that this costs nothing in the long run.
    fn move_cursor(&mut self) {
        self.cursor = self.cursor.max(self.base);
        while self
            .slot(self.cursor)
            .is_some_and(|slot| slot.progress != Progress::Waiting || slot.is_urgent())
        {
            self.cursor += 1;
        }
    }

    fn pop_done(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.progress == Progress::Done) {
            self.slots.pop_front();
            self.base += 1;
        }
        if self.slots.is_empty() {
            // An idle client keeps no buffer.
            self.chunk = BytesMut::new();
        }
        self.move_cursor();
    }

    pub(super) fn next_expiry(&mut self) -> Option<Instant> {
        let (slots, base) = (&self.slots, self.base);
        self.expiries.next(|seq| find(slots, base, seq).is_some_and(|slot| !slot.is_over()))
    }

    /// Completes what is past its time. A message in flight keeps its place until the server
    /// answers or the connection ends, because its packet id is in use.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Completed<T>> {
        let mut expired = Vec::new();
        while let Some(seq) = self.expiries.pop_due(now) {
            let Some(slot) = self.slot_mut(seq) else { continue };
            let tag = match slot.progress {
                Progress::Waiting => {
                    let (tag, size) = slot.finish();
                    self.messages.remove(size);
                    tag
                }
                Progress::InFlight => slot.tag.take(),
                Progress::Done => None,
            };
            expired.extend(tag.map(|tag| Completed { id: packet_id(seq), tag }));
        }
        self.counters.expired += expired.len() as u64;
        self.pop_done();
        expired
    }

    /// Everything that has not completed, oldest first.
    pub(super) fn close(&mut self) -> Vec<Completed<T>> {
        let base = self.base;
        self.base = self.end();
        self.cursor = self.base;
        self.unsent_urgent.clear();
        self.expiries.clear();
        self.chunk = BytesMut::new();
        (self.messages, self.urgent, self.in_flight) = Default::default();
        let slots = std::mem::take(&mut self.slots);
        (base..)
            .zip(slots)
            .filter_map(|(seq, slot)| slot.tag.map(|tag| Completed { id: packet_id(seq), tag }))
            .collect()
    }
}
