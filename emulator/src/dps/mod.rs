//! A Device Provisioning Service that assigns devices to this hub.
//!
//! `names` reads user names and topics, `enrollments` knows who is enrolled, `registrations` what
//! became of them, `request` reads bodies, `service` answers them, `registrant` owns a connection,
//! `summary` tells the keys.

mod enrollments;
pub(crate) mod names;
mod options;
pub(crate) mod registrant;
mod registrations;
mod request;
mod service;
mod summary;

pub(crate) use enrollments::Terms;
pub use options::{DpsOptions, EnrollmentOptions, GroupOptions, Reprovision};
pub(crate) use service::Dps;
pub(crate) use summary::Summary;
