//! The HTTPS port, by kind of resource.

#![allow(clippy::unwrap_used, clippy::panic)]

mod admission;
mod bulk;
mod messages;
mod methods;
mod own;
mod registry;
#[path = "../support/mod.rs"]
mod support;
mod twins;
