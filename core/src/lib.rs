//! Azure IoT Hub device client over MQTT 3.1.1.

pub mod error;
pub mod hub;
pub mod io;
pub mod mqtt;

pub use error::{Error, ErrorKind, Result};
