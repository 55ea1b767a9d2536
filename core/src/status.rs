//! What a client tells its application about the connection.

use crate::error::ErrorKind;
use crate::io::Cause;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    Disconnected,
    Connecting,
    Connected,
    /// The client was closed; nothing follows.
    Closed,
}

/// Called for each change of the connection.
pub type StatusHandler = Box<dyn FnMut(&Status) + Send>;

/// A change of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: ConnectionState,
    /// Why the last connection ended or could not be made; `None` when nothing went wrong.
    pub cause: Option<Cause>,
    /// The same for people. Never holds a key, a token or a password.
    pub detail: String,
}

impl Status {
    pub fn is_connected(&self) -> bool {
        self.state == ConnectionState::Connected
    }

    /// The kind of error that the cause belongs to; `None` also for a renewal, which is no error.
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.cause.filter(|cause| *cause != Cause::Renewed).map(Cause::error_kind)
    }
}
