//! Scripts of a server against one session: bytes in, bytes out, the time by hand.
//!
//! Each script is one that makes a known MQTT client lose, reorder, repeat or block.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod drain;
mod inbound;
mod keep_alive;
mod lanes;
mod limits;
mod peer;
mod reconnect;
mod subscriptions;
