//! The C face of the library: conversion only. What an option means, what is refused and what happens
//! on the network is decided in core; here C values become Rust values and back.
//!
//! The documentation of these items is that of `include/iothub_mqtt.h`, which is generated from them.

pub mod status;

pub mod cause;

pub mod version;

pub mod closure;

pub mod log;

pub mod message;

pub mod options;

pub mod credential_options;

pub mod transport_options;

pub mod client;

pub mod manual;

pub mod method;

pub mod twin;

pub mod module;

pub mod stats;

pub mod doctor;

mod boundary;
mod fork;
mod handle;
mod text;
