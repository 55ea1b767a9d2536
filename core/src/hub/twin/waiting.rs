//! One request for the twin.

use std::time::Instant;

use bytes::Bytes;

use crate::error::{Error, ErrorKind};

pub(super) enum Kind {
    Get,
    /// The library's own, to find out what was missed. It is asked until it brought that.
    CatchUp {
        /// Answers in a row that did not.
        fruitless: u32,
    },
    Report {
        patch: Bytes,
        overtaken: bool,
    },
}

pub(super) struct Waiting<T> {
    pub(super) number: u64,
    pub(super) kind: Kind,
    /// `None` for the library's own.
    pub(super) tag: Option<T>,
    /// The end of the request; of the library's own, the end of the wait for this answer.
    pub(super) until: Option<Instant>,
    pub(super) not_before: Option<Instant>,
    /// On this connection.
    pub(super) sent: bool,
    /// Why the hub did not do it yet.
    pub(super) refused: Option<Error>,
}

impl<T> Waiting<T> {
    pub(super) fn is_report(&self) -> bool {
        matches!(self.kind, Kind::Report { .. })
    }

    /// Why it is not sent again: that would undo a later report.
    pub(super) fn overtaken(&self) -> Option<Error> {
        let Kind::Report { overtaken: true, .. } = self.kind else { return None };
        let detail = "the connection ended before the hub answered; a later report was answered, so this one is \
                      not sent again";
        let unknown = || Error::new(ErrorKind::Network, detail);
        (!self.sent).then(|| self.refused.clone().unwrap_or_else(unknown))
    }
}
