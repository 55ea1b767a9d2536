//! What the client owes the server: one ring of slots that holds order, packet ids, the in-flight
//! window and the limits. Every known way to lose or reorder a message comes from having two.
//!
//! A slot is made when an operation is accepted and keeps its sequence number, and so its packet
//! id, for life: `id = (seq - 1) % 65535 + 1`. An acknowledgement is found by subtraction.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::packet::{self, Publish, QoS};
use crate::error::{Error, ErrorKind};

/// More slots than this would make two of them share a packet id.
const MOST_SLOTS: usize = 65_000;
/// Packets are encoded into shared pieces of this size, so that a small one costs no allocation.
const CHUNK: usize = 16 * 1024;

/// Bounds of the outbox.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Operations that may wait, 1 to 65,000.
    pub messages: usize,
    /// Bytes of encoded packets that may wait.
    pub bytes: usize,
    /// Messages that may be sent and not yet acknowledged.
    pub in_flight: usize,
    /// Bytes that may be sent and not yet acknowledged; one message may always be.
    pub in_flight_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages: 1_000, bytes: 16 << 20, in_flight: 100, in_flight_bytes: 4 << 20 }
    }
}

/// An operation that was not accepted, with what the caller gave for its completion.
#[derive(Debug)]
pub struct Refused<T> {
    pub error: Error,
    pub tag: T,
}

/// What a SUBSCRIBE or UNSUBSCRIBE asked for, kept until it is acknowledged.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Subscribe(Vec<(String, QoS)>),
    Unsubscribe(Vec<String>),
}

enum Kind {
    Publish { at_least_once: bool },
    Control(Request),
}

struct Slot<T> {
    /// Empty once the slot is done.
    packet: Bytes,
    /// Taken when the operation completes.
    tag: Option<T>,
    kind: Kind,
    /// Sent at some time within the session that the server keeps.
    sent: bool,
    /// Sent on this connection and not yet acknowledged.
    in_flight: bool,
    done: bool,
}

/// A completed operation.
pub(super) struct Completed<T> {
    pub id: u16,
    pub tag: T,
}

pub(super) struct Outbox<T> {
    limits: Limits,
    slots: VecDeque<Slot<T>>,
    /// Sequence number of `slots[0]`; the first ever is 1.
    base: u64,
    /// The next PUBLISH to look at when there is room in the window.
    cursor: u64,
    /// SUBSCRIBE and UNSUBSCRIBE that are to be sent on this connection.
    control: VecDeque<u64>,
    live: usize,
    live_bytes: usize,
    in_flight: usize,
    in_flight_bytes: usize,
    chunk: BytesMut,
    expiries: BinaryHeap<Reverse<(Instant, u64)>>,
}

pub(super) fn packet_id(seq: u64) -> u16 {
    ((seq - 1) % 65_535 + 1) as u16
}

impl<T> Outbox<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: VecDeque::new(),
            base: 1,
            cursor: 1,
            control: VecDeque::new(),
            live: 0,
            live_bytes: 0,
            in_flight: 0,
            in_flight_bytes: 0,
            chunk: BytesMut::new(),
            expiries: BinaryHeap::new(),
        }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Operations that have not completed.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn bytes(&self) -> usize {
        self.live_bytes
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn room(&self, bytes: usize) -> Result<(), Error> {
        let Limits { messages, bytes: most, .. } = self.limits;
        if self.live >= messages || self.slots.len() >= MOST_SLOTS {
            return Err(Error::new(
                ErrorKind::Full,
                format!("the outbound queue holds its {messages} messages"),
            ));
        }
        if self.live_bytes + bytes > most {
            return Err(Error::new(
                ErrorKind::Full,
                format!("the outbound queue holds {} of its {most} bytes", self.live_bytes),
            ));
        }
        Ok(())
    }

    fn push(&mut self, packet: Bytes, tag: Option<T>, kind: Kind) -> u64 {
        let seq = self.base + self.slots.len() as u64;
        self.live += 1;
        self.live_bytes += packet.len();
        self.slots.push_back(Slot { packet, tag, kind, sent: false, in_flight: false, done: false });
        seq
    }

    fn next_seq(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// The topic has been checked. Returns the packet id.
    pub(super) fn publish(
        &mut self,
        publish: &Publish<'_>,
        expiry: Option<Instant>,
        tag: T,
    ) -> Result<u16, Refused<T>> {
        let size = match packet::publish_size(publish).and_then(|size| self.room(size).map(|()| size)) {
            Ok(size) => size,
            Err(error) => return Err(Refused { error, tag }),
        };
        let id = packet_id(self.next_seq());
        if self.chunk.capacity() < size {
            self.chunk.reserve(size.max(CHUNK));
        }
        packet::write_publish(publish, id, size, &mut self.chunk);
        let encoded = self.chunk.split().freeze();
        let at_least_once = publish.qos != QoS::AtMostOnce;
        let seq = self.push(encoded, Some(tag), Kind::Publish { at_least_once });
        if let Some(expiry) = expiry {
            self.remember_expiry(expiry, seq);
        }
        Ok(id)
    }

    /// `tag` is `None` for what the session does by itself.
    pub(super) fn request(&mut self, request: Request, tag: Option<T>) -> Result<u16, (Error, Option<T>)> {
        let seq = self.next_seq();
        let id = packet_id(seq);
        let mut encoded = BytesMut::new();
        let written = match &request {
            Request::Subscribe(filters) => packet::write_subscribe(id, filters, &mut encoded),
            Request::Unsubscribe(filters) => packet::write_unsubscribe(id, filters, &mut encoded),
        };
        // A full queue of messages must not keep the client from listening: only the ring's own bound counts.
        let room = if self.slots.len() < MOST_SLOTS {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Full, "too many operations wait for the server"))
        };
        match written.and(room) {
            Ok(()) => {
                self.push(encoded.freeze(), tag, Kind::Control(request));
                self.control.push_back(seq);
                Ok(id)
            }
            Err(error) => Err((error, tag)),
        }
    }

    fn slot(&mut self, seq: u64) -> Option<&mut Slot<T>> {
        let offset = seq.checked_sub(self.base)?;
        self.slots.get_mut(usize::try_from(offset).ok()?)
    }

    /// The slot that `id` names among those in the ring.
    fn seq_of(&self, id: u16) -> Option<u64> {
        let first = u64::from(packet_id(self.base));
        let offset = (u64::from(id) + 65_535 - first) % 65_535;
        (id != 0 && offset < self.slots.len() as u64).then_some(self.base + offset)
    }

    /// Whether something that waits was sent on an earlier connection.
    pub(super) fn has_sent(&self) -> bool {
        self.slots.iter().any(|slot| slot.sent && !slot.done)
    }

    /// A new connection is up: everything that is not acknowledged is to be sent again, from the
    /// oldest. If the server kept nothing, nothing counts as sent.
    pub(super) fn rewind(&mut self, session_present: bool) {
        self.cursor = self.base;
        self.control.clear();
        for (offset, slot) in self.slots.iter_mut().enumerate() {
            slot.sent &= session_present;
            if !slot.done && matches!(slot.kind, Kind::Control(_)) {
                self.control.push_back(self.base + offset as u64);
            }
        }
    }

    /// Nothing is in flight any more. Returns the QoS 0 messages that were never sent.
    pub(super) fn connection_lost(&mut self) -> Vec<Completed<T>> {
        self.in_flight = 0;
        self.in_flight_bytes = 0;
        self.cursor = self.base;
        self.control.clear();
        let mut lost = Vec::new();
        let (mut live, mut live_bytes) = (0, 0);
        for (offset, slot) in self.slots.iter_mut().enumerate() {
            let never_again = match slot.kind {
                Kind::Publish { at_least_once } => !at_least_once,
                Kind::Control(_) => false,
            };
            // A slot without a tag that was in flight has expired: its place is free now.
            let expired = slot.in_flight && slot.tag.is_none() && !matches!(slot.kind, Kind::Control(_));
            slot.in_flight = false;
            if !slot.done && (never_again || expired) {
                slot.done = true;
                slot.packet = Bytes::new();
                let id = packet_id(self.base + offset as u64);
                lost.extend(slot.tag.take().map(|tag| Completed { id, tag }));
            }
            if !slot.done {
                live += 1;
                live_bytes += slot.packet.len();
            }
        }
        self.live = live;
        self.live_bytes = live_bytes;
        self.pop_done();
        lost
    }

    /// Appends the SUBSCRIBE and UNSUBSCRIBE packets that wait. They never wait for the window.
    pub(super) fn write_control(&mut self, out: &mut BytesMut) {
        while let Some(seq) = self.control.pop_front() {
            if let Some(slot) = self.slot(seq) {
                out.extend_from_slice(&slot.packet);
                slot.sent = true;
                slot.in_flight = true;
            }
        }
    }

    pub(super) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// Appends PUBLISH packets while the window has room and `out` is below `budget`.
    /// Returns the QoS 0 messages that are complete by having been written.
    pub(super) fn write_publishes(
        &mut self,
        out: &mut BytesMut,
        budget: usize,
        done: &mut Vec<Completed<T>>,
    ) {
        while out.len() < budget && self.window_open() {
            let seq = self.cursor;
            let Some(slot) = self.slot(seq) else { break };
            let Kind::Publish { at_least_once } = slot.kind else {
                self.cursor += 1;
                continue;
            };
            if slot.done || slot.in_flight {
                self.cursor += 1;
                continue;
            }
            let start = out.len();
            out.extend_from_slice(&slot.packet);
            let size = slot.packet.len();
            if at_least_once {
                if slot.sent {
                    out[start] |= packet::DUP;
                }
                slot.sent = true;
                slot.in_flight = true;
                self.in_flight += 1;
                self.in_flight_bytes += size;
            } else {
                let tag = Self::finish(slot);
                self.live -= 1;
                self.live_bytes -= size;
                done.extend(tag.map(|tag| Completed { id: packet_id(seq), tag }));
            }
            self.cursor += 1;
        }
        self.pop_done();
    }

    fn window_open(&self) -> bool {
        self.in_flight == 0
            || self.in_flight < self.limits.in_flight && self.in_flight_bytes < self.limits.in_flight_bytes
    }

    /// Whether `write_publishes` would write something.
    pub(super) fn has_publish(&self) -> bool {
        self.window_open() && self.has_unsent()
    }

    /// Whether a message waits that was not sent on this connection.
    pub(super) fn has_unsent(&self) -> bool {
        let from = usize::try_from(self.cursor.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.slots
            .range(from.min(self.slots.len())..)
            .any(|slot| !slot.done && !slot.in_flight && matches!(slot.kind, Kind::Publish { .. }))
    }

    fn finish(slot: &mut Slot<T>) -> Option<T> {
        slot.done = true;
        slot.packet = Bytes::new();
        slot.tag.take()
    }

    /// The PUBACK for `id`. `Err` if nothing of that id is in flight.
    pub(super) fn acknowledge(&mut self, id: u16) -> Result<Option<T>, ()> {
        let slot = self.seq_of(id).and_then(|seq| self.slot(seq));
        let Some(slot) = slot.filter(|slot| slot.in_flight && matches!(slot.kind, Kind::Publish { .. }))
        else {
            return Err(());
        };
        let size = slot.packet.len();
        slot.in_flight = false;
        let tag = Self::finish(slot);
        self.in_flight -= 1;
        self.in_flight_bytes -= size;
        self.live -= 1;
        self.live_bytes -= size;
        self.pop_done();
        Ok(tag)
    }

    /// The SUBACK or UNSUBACK for `id`, with what was asked.
    pub(super) fn answered(&mut self, id: u16, subscribe: bool) -> Result<(Request, Option<T>), ()> {
        let slot = self.seq_of(id).and_then(|seq| self.slot(seq));
        let Some(slot) = slot.filter(|slot| slot.in_flight) else { return Err(()) };
        let request = match &slot.kind {
            Kind::Control(request) if matches!(request, Request::Subscribe(_)) == subscribe => {
                request.clone()
            }
            _ => return Err(()),
        };
        let size = slot.packet.len();
        slot.in_flight = false;
        let tag = Self::finish(slot);
        self.live -= 1;
        self.live_bytes -= size;
        self.pop_done();
        Ok((request, tag))
    }

    fn pop_done(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.done) {
            self.slots.pop_front();
            self.base += 1;
        }
        self.cursor = self.cursor.max(self.base);
        if self.slots.is_empty() {
            self.chunk = BytesMut::new();
        }
    }

    fn remember_expiry(&mut self, expiry: Instant, seq: u64) {
        if self.expiries.len() > 2 * self.slots.len() + 64 {
            let (base, slots) = (self.base, &self.slots);
            self.expiries.retain(|Reverse((_, seq))| {
                let slot = seq.checked_sub(base).and_then(|offset| slots.get(offset as usize));
                slot.is_some_and(|slot| slot.tag.is_some())
            });
        }
        self.expiries.push(Reverse((expiry, seq)));
    }

    pub(super) fn next_expiry(&mut self) -> Option<Instant> {
        while let Some(&Reverse((at, seq))) = self.expiries.peek() {
            if self.slot(seq).is_some_and(|slot| slot.tag.is_some()) {
                return Some(at);
            }
            self.expiries.pop();
        }
        None
    }

    /// Completes what is past its time. A message in flight keeps its place until the server
    /// answers or the connection ends, because its packet id is in use.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Completed<T>> {
        let mut expired = Vec::new();
        while let Some(&Reverse((at, seq))) = self.expiries.peek() {
            if at > now {
                break;
            }
            self.expiries.pop();
            let Some(slot) = self.slot(seq) else { continue };
            let Some(tag) = slot.tag.take() else { continue };
            expired.push(Completed { id: packet_id(seq), tag });
            if !slot.in_flight {
                let size = slot.packet.len();
                Self::finish(slot);
                self.live -= 1;
                self.live_bytes -= size;
            }
        }
        self.pop_done();
        expired
    }

    /// Everything that has not completed, oldest first.
    pub(super) fn close(&mut self) -> Vec<Completed<T>> {
        let base = self.base;
        self.control.clear();
        self.expiries.clear();
        self.base = self.next_seq();
        self.cursor = self.base;
        (self.live, self.live_bytes, self.in_flight, self.in_flight_bytes) = (0, 0, 0, 0);
        std::mem::take(&mut self.slots)
            .into_iter()
            .enumerate()
            .filter_map(|(offset, slot)| {
                let id = packet_id(base + offset as u64);
                slot.tag.map(|tag| Completed { id, tag })
            })
            .collect()
    }
}
