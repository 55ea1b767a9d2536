//! The HTTPS port, by kind of resource.

#![allow(clippy::unwrap_used, clippy::panic)]

mod admission;
mod bulk;
#[path = "../support/https.rs"]
mod https;
mod messages;
mod methods;
mod own;
mod query;
mod registry;
#[path = "../support/mod.rs"]
mod support;
mod twins;
