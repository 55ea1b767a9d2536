//! The doctor against the local hub: all well, and each thing that can be wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod credentials;
mod patient;
mod tls;
mod way;
mod well;
