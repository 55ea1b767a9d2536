//! What the outbox puts on the wire, and in which order: the urgent, then messages while the window
//! has room.

use std::time::Instant;

use bytes::BytesMut;

use super::super::packet;
use super::super::slot::{Completed, Progress, Slot, packet_id};
use super::Outbox;

/// How much may be written, and what is known about the connection.
#[derive(Clone, Copy)]
pub(in crate::mqtt) struct Turn {
    /// The output is not added to beyond this.
    pub budget: usize,
    /// The server has said which session it is, so that DUP has a meaning.
    pub resumed: bool,
    pub now: Instant,
}

impl<T> Outbox<T> {
    /// Appends what never waits for the window. `done` gets the QoS 0 messages, which are complete
    /// by being written.
    pub(in crate::mqtt) fn write_urgent(
        &mut self,
        out: &mut BytesMut,
        turn: Turn,
        mut done: impl FnMut(Completed<T>),
    ) {
        while out.len() < turn.budget
            && let Some(seq) = self.unsent_urgent.pop_front()
        {
            let (completed, freed) = self.write(seq, out, turn);
            if let Some(size) = freed {
                self.urgent.remove(size);
            }
            completed.into_iter().for_each(&mut done);
        }
        self.pop_done();
    }

    pub(in crate::mqtt) fn has_urgent(&self) -> bool {
        !self.unsent_urgent.is_empty()
    }

    /// The next message, if the window has room for it. A QoS 0 message takes no room.
    fn next_message(&self) -> Option<&Slot<T>> {
        self.slot(self.cursor).filter(|slot| {
            slot.is_at_most_once() || self.limits.window_takes(self.in_flight, slot.packet.len())
        })
    }

    /// Whether `write_messages` would write something.
    pub(in crate::mqtt) fn has_message(&self) -> bool {
        self.next_message().is_some()
    }

    /// Appends PUBLISH packets while the window has room; `done` as for [`Outbox::write_urgent`].
    pub(in crate::mqtt) fn write_messages(
        &mut self,
        out: &mut BytesMut,
        turn: Turn,
        mut done: impl FnMut(Completed<T>),
    ) {
        while out.len() < turn.budget
            && let Some(size) = self.next_message().map(|slot| slot.packet.len())
        {
            let seq = self.cursor;
            let (completed, freed) = self.write(seq, out, turn);
            match freed {
                Some(size) => self.messages.remove(size),
                None => self.in_flight.add(size),
            }
            completed.into_iter().for_each(&mut done);
            self.move_cursor();
        }
        self.pop_done();
    }

    /// Appends one packet. Returns what is complete by that, and the room that it leaves.
    fn write(&mut self, seq: u64, out: &mut BytesMut, turn: Turn) -> (Option<Completed<T>>, Option<usize>) {
        let Some(slot) = self.slots.get_mut((seq - self.base) as usize) else { return (None, None) };
        let start = out.len();
        out.extend_from_slice(&slot.packet);
        if !slot.is_urgent() {
            let count = if slot.written { &mut self.counters.resent } else { &mut self.counters.sent };
            *count += 1;
            slot.written = true;
        }
        if slot.is_at_most_once() {
            let (tag, size) = slot.finish();
            return (tag.map(|tag| Completed { id: packet_id(seq), tag }), Some(size));
        }
        if slot.sent && turn.resumed && slot.request().is_none() {
            out[start] |= packet::DUP;
        }
        slot.sent = true;
        slot.progress = Progress::InFlight;
        if self.probe.is_none() && slot.request().is_none() {
            self.probe = Some((seq, turn.now));
        }
        (None, None)
    }
}
