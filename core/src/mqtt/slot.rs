//! One operation in the outbox.

use bytes::Bytes;

use super::packet::QoS;

/// What a SUBSCRIBE or UNSUBSCRIBE asks for, kept until it is answered.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Subscribe(Vec<(String, QoS)>),
    /// The session's own, for one connection: the next one decides anew what has to be restored.
    Restore(Vec<(String, QoS)>),
    Unsubscribe(Vec<String>),
}

impl Request {
    pub(super) fn filters(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Subscribe(filters) | Self::Restore(filters) => {
                Box::new(filters.iter().map(|(filter, _)| filter.as_str()))
            }
            Self::Unsubscribe(filters) => Box::new(filters.iter().map(String::as_str)),
        }
    }
}

pub(super) enum Kind {
    AtMostOnce,
    AtLeastOnce,
    /// A message that does not wait for others or for the window.
    Urgent(QoS),
    Request(Request),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// To be sent on this connection or the next.
    Waiting,
    /// Sent on this connection and not yet acknowledged.
    InFlight,
    Done,
}

pub(super) struct Slot<T> {
    /// Empty once the slot is done.
    pub packet: Bytes,
    /// Taken when the operation completes.
    pub tag: Option<T>,
    pub kind: Kind,
    pub progress: Progress,
    /// Sent at some time within the session that the server keeps.
    pub sent: bool,
    /// Sent at any time.
    pub written: bool,
}

impl<T> Slot<T> {
    pub(super) fn new(packet: Bytes, tag: Option<T>, kind: Kind) -> Self {
        Self { packet, tag, kind, progress: Progress::Waiting, sent: false, written: false }
    }

    pub(super) fn request(&self) -> Option<&Request> {
        match &self.kind {
            Kind::Request(request) => Some(request),
            Kind::AtMostOnce | Kind::AtLeastOnce | Kind::Urgent(_) => None,
        }
    }

    pub(super) fn is_urgent(&self) -> bool {
        matches!(self.kind, Kind::Urgent(_) | Kind::Request(_))
    }

    /// Whether it is over once it is written.
    pub(super) fn is_at_most_once(&self) -> bool {
        matches!(self.kind, Kind::AtMostOnce | Kind::Urgent(QoS::AtMostOnce))
    }

    /// Whether the operation has completed, though its packet id may still be in use.
    pub(super) fn is_over(&self) -> bool {
        self.tag.is_none()
    }

    /// Returns what completes, and the size that becomes free.
    pub(super) fn finish(&mut self) -> (Option<T>, usize) {
        self.progress = Progress::Done;
        (self.tag.take(), std::mem::take(&mut self.packet).len())
    }
}

/// A completed operation.
pub(super) struct Completed<T> {
    pub id: u16,
    pub tag: T,
}

/// The id of the operation with this sequence number; the first is 1.
pub(super) fn packet_id(seq: u64) -> u16 {
    ((seq - 1) % 65_535 + 1) as u16
}
