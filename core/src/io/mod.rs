//! Everything that touches a socket, a clock or a thread.

mod aside;
pub mod backoff;
mod bind;
mod carrier;
pub mod cause;
mod certificate;
mod connection;
mod dial;
mod dispatch;
mod driver;
mod fdset;
mod greeting;
mod http;
mod http_head;
mod hub_link;
mod interest;
mod manual;
mod pem;
mod pool;
mod presented;
pub(crate) mod probe;
mod proxy;
mod received;
mod resolve;
mod shared;
mod threaded;
pub mod tls;
mod tls_fault;
mod tls_signer;
mod tunnel;
mod via;
mod websocket;
mod wire;
mod workload;

use std::sync::Arc;
use std::time::Instant;

pub(crate) use bind::Bind;
pub use carrier::{Carrier, Queues};
pub use cause::{Cause, Fault, Retry};
pub(crate) use certificate::Certificate;
pub(crate) use connection::{Connection, Endpoint};
pub use driver::Driver;
pub(crate) use fdset::{Bell, FdSet};
pub(crate) use greeting::{Greet, Greeting};
pub(crate) use http::Address;
pub(crate) use hub_link::HubLink;
pub use interest::Interest;
pub use manual::Manual;
pub(crate) use pem::certificates;
pub(crate) use proxy::{Proxy, ProxyRule};
pub use received::{Ack, DesiredHandler, InputHandler, MessageHandler, MethodHandler};
pub(crate) use received::{Handler, Route};
pub(crate) use shared::Shared;
pub(crate) use threaded::spawn;
pub(crate) use tls::is_of_the_web;
pub use tls::{ClientCertificate, TlsOptions, server_name};
pub(crate) use tls_signer::SigningCertificate;
pub use tls_signer::TlsSigner;
pub(crate) use via::Via;
pub use wire::Wire;
pub(crate) use workload::Workload;

use crate::mqtt::{Session, Settings};

/// What is to give a connection its turns, and where callbacks run.
pub(crate) enum Hosting {
    /// The library's I/O thread; callbacks on its pool.
    Threads,
    /// A [`Driver`]; callbacks inside it.
    Driver,
    /// A [`Manual`], woken by this; callbacks inside it.
    Manual(Bell),
}

/// The parts of one client, joined: what its handles share, and what a host drives.
pub(crate) fn assemble(
    endpoint: Endpoint,
    greet: Greet,
    settings: Settings,
    hub: Option<HubLink>,
    hosting: Hosting,
) -> (Arc<Shared>, Connection) {
    let session = Session::new(settings, Instant::now());
    let shared = match hosting {
        Hosting::Threads => Shared::new(session, hub, true),
        Hosting::Driver => Shared::new(session, hub, false),
        Hosting::Manual(bell) => Shared::with_bell(session, hub, bell),
    };
    let connection = Connection::new(endpoint, greet, Arc::clone(&shared));
    (shared, connection)
}
