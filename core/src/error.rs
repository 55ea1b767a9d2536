//! What can go wrong, as one type that every face of the library maps one to one.

use std::borrow::Cow;
use std::fmt;

/// The kinds of failure. The C status codes have the same names; a kind is never renumbered there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A bug in this library.
    Internal,
    /// A value that the caller gave breaks a rule; the detail names the value and the rule.
    Argument,
    /// The call is not allowed now.
    State,
    /// The client was closed.
    Closed,
    /// The outbound queue is at its limit; nothing was queued.
    Full,
    /// A deadline passed.
    Timeout,
    /// Unknown, already answered, or from an earlier connection.
    NotFound,
    /// The hub or this library does not offer it.
    Unsupported,
    /// The message's time to live ended before the hub acknowledged it.
    Expired,
    /// Dropped by the queue's policy.
    Dropped,
    /// Name lookup, TCP, proxy or WebSocket.
    Network,
    /// Certificate or handshake.
    Tls,
    /// The hub refused the credentials.
    Auth,
    /// The peer broke MQTT.
    Protocol,
    /// The hub asked to slow down (429).
    Throttled,
    /// Larger than the hub takes.
    TooLarge,
    /// The hub's copy changed meanwhile (412).
    Precondition,
    /// Any other refusal by the hub.
    Rejected,
}

/// A failure: its kind, and a text for people that names the argument or the peer and the rule.
///
/// The text never holds a key, a token, a password or a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    detail: Cow<'static, str>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// `name` is the argument as the caller knows it, `rule` what it breaks.
    pub fn argument(name: &str, rule: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Argument, format!("{name}: {rule}"))
    }

    pub const fn closed() -> Self {
        Self { kind: ErrorKind::Closed, detail: Cow::Borrowed("the client was closed") }
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}
