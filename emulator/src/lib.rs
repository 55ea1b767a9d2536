//! A local Azure IoT Hub, for developing offline and for tests.
//!
//! [`Hub::start`] runs one inside the calling process, on a thread of its own; the program
//! `iothub-emulator` is the same hub behind a command line.

mod auth;
mod broker;
mod c2d;
#[cfg(test)]
#[path = "../tests/support/certificates.rs"]
mod certificates;
mod certs;
mod chain;
mod child;
pub mod cli;
mod config;
mod descriptors;
mod digital_twin;
mod dps;
mod error;
mod events;
mod faults;
mod feedback;
mod files;
mod handshake;
mod history;
mod https;
mod hub;
mod identity;
mod module_routes;
mod notices;
mod options;
mod program;
mod query;
mod queue;
mod registry;
mod routing;
mod running;
mod scenario;
mod scratch;
mod server;
pub mod settings;
mod setup;
mod store;
mod time;
mod tls;
mod toml_file;
mod twins;
mod version_last;
mod writer;

pub use c2d::CloudMessage;
pub use dps::{DpsOptions, EnrollmentOptions, GroupOptions, Reprovision};
pub use error::{HubError, StartError};
pub use faults::Fault;
pub use files::FileOptions;
pub use hub::Hub;
pub use identity::Identity;
pub use options::{CredentialOptions, IdentityOptions, Options, Pem};
pub use routing::{EndpointOptions, MessageSource, RouteOptions, RoutingOptions};
pub use scenario::TimedFault;
pub use settings::Settings;
