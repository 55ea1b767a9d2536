//! Everything that touches a socket, a clock or a thread.

pub mod backoff;
mod bind;
mod carrier;
pub mod cause;
mod connection;
mod dial;
mod dispatch;
mod driver;
mod http_head;
mod interest;
mod pem;
mod pool;
mod proxy;
mod resolve;
mod shared;
mod threaded;
pub mod tls;
mod tls_fault;
mod tunnel;
mod via;
mod websocket;
mod wire;

use std::sync::Arc;
use std::time::Instant;

pub(crate) use bind::Bind;
pub use carrier::{Carrier, Queues};
pub use cause::{Cause, Fault, Retry};
pub(crate) use connection::{Connection, Endpoint, Greet, Greeting};
pub use dispatch::Ack;
pub(crate) use dispatch::{Handler, Route};
pub use driver::Driver;
pub use interest::Interest;
pub(crate) use proxy::{Proxy, ProxyRule};
pub(crate) use shared::Shared;
pub(crate) use threaded::spawn;
pub use tls::{ClientCertificate, TlsOptions, server_name};
pub(crate) use via::Via;
pub use wire::Wire;

use crate::mqtt::{Session, Settings};

/// The parts of one client, joined: what its handles share, and what does its I/O.
pub(crate) fn assemble(
    endpoint: Endpoint,
    greet: Greet,
    settings: Settings,
    pooled: bool,
) -> (Arc<Shared>, Driver) {
    let shared = Shared::new(Session::new(settings, Instant::now()), pooled);
    let connection = Connection::new(endpoint, greet, Arc::clone(&shared));
    let driver = Driver::new(connection, Arc::clone(&shared));
    (shared, driver)
}
