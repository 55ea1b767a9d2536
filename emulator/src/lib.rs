//! A local Azure IoT Hub, for developing offline and for tests.
//!
//! [`Hub::start`] runs one inside the calling process, on a thread of its own; the program
//! `iothub-emulator` is the same hub behind a command line.

mod auth;
mod broker;
mod c2d;
mod certs;
mod chain;
pub mod cli;
mod descriptors;
mod error;
mod events;
mod faults;
mod https;
mod hub;
mod identity;
mod module_routes;
mod options;
mod program;
mod query;
mod queue;
mod registry;
mod running;
mod scratch;
mod server;
pub mod settings;
mod setup;
mod time;
mod tls;
mod twins;

pub use c2d::CloudMessage;
pub use error::{HubError, StartError};
pub use faults::Fault;
pub use hub::Hub;
pub use identity::Identity;
pub use options::{CredentialOptions, IdentityOptions, Options, Pem};
pub use settings::Settings;
