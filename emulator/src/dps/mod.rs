//! A Device Provisioning Service that assigns devices to this hub.
//!
//! `names` reads user names and topics, `enrollments` knows who is enrolled, `registrations` what
//! became of them, `service` answers requests, `registrant` owns a connection.

mod enrollments;
pub(crate) mod names;
mod options;
pub(crate) mod registrant;
mod registrations;
mod service;

pub use options::{DpsOptions, EnrollmentOptions, GroupOptions, InitialTwin, Reprovision};
pub(crate) use service::{Dps, Summary};
