//! What is said and shown to the server at the start of one connection, and who makes it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::cause::Fault;
use crate::hub::Doubt;
use crate::mqtt::Connect;

/// What is said to the server at the start of one connection.
pub(crate) struct Greeting {
    pub connect: Connect,
    /// How long the credentials serve, counted from when they were asked for, before the connection is
    /// to be made anew.
    pub renew_after: Option<Duration>,
    /// Why the server may refuse it.
    pub doubt: Option<Doubt>,
    /// Whom to trust and what certificate to show from now on, where that was read afresh.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Makes a greeting for each connection.
pub(crate) enum Greet {
    /// At once.
    Now(Box<dyn FnMut() -> Result<Greeting, Fault> + Send>),
    /// With something that may take its time or hang, called `what` in texts.
    Aside { what: &'static str, make: Arc<dyn Fn() -> Result<Greeting, Fault> + Send + Sync> },
}

impl fmt::Debug for Greet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Now",
            Self::Aside { what, .. } => what,
        })
    }
}

impl Greet {
    pub(super) fn make(&mut self) -> Result<Greeting, Fault> {
        match self {
            Self::Now(make) => make(),
            Self::Aside { make, .. } => make(),
        }
    }
}
