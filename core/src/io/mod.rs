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
mod hub_link;
mod interest;
mod pem;
mod pool;
mod proxy;
mod received;
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
pub use driver::Driver;
pub(crate) use hub_link::HubLink;
pub use interest::Interest;
pub(crate) use proxy::{Proxy, ProxyRule};
pub use received::{Ack, DesiredHandler, InputHandler, MessageHandler, MethodHandler};
pub(crate) use received::{Handler, Route};
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
    hub: Option<HubLink>,
    pooled: bool,
) -> (Arc<Shared>, Driver) {
    let shared = Shared::new(Session::new(settings, Instant::now()), hub, pooled);
    let connection = Connection::new(endpoint, greet, Arc::clone(&shared));
    let driver = Driver::new(connection, Arc::clone(&shared));
    (shared, driver)
}
