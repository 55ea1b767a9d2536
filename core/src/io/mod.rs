//! Everything that touches a socket, a clock or a thread.

pub mod backoff;
pub mod cause;
mod connection;
mod dial;
mod dispatch;
mod driver;
mod pem;
mod resolve;
mod shared;
mod threaded;
mod tls;
mod tls_fault;
mod wire;

pub use cause::{Cause, Fault, Retry};
pub(crate) use connection::{Connection, Endpoint, Greeting};
pub use dispatch::Ack;
pub(crate) use dispatch::{Handler, Route};
pub use driver::Driver;
pub(crate) use shared::Shared;
pub(crate) use threaded::spawn;
pub use tls::{ClientCertificate, TlsOptions, server_name};
pub use wire::{Carrier, Queues, Want, Wire};
pub(crate) use wire::lock;
