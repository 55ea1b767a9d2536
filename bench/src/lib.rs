//! What the bench's programs share: the hub that only acknowledges, the measurement, and the runner.
//!
//! `bench` runs every contender of [`runner::contenders::TABLE`] in turn against one [`sink::Sink`], on one core.
//! Each contender is a process of its own that publishes, waits for the acknowledgements and prints one line of
//! JSON (see [`measure::Measurement`]).

pub mod client;
pub mod measure;
pub mod runner;
pub mod sink;

/// What a program of this crate ends with when it fails.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
