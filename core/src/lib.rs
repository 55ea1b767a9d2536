//! Azure IoT Hub device client over MQTT 3.1.1.

mod completion;
pub mod config;
mod device_client;
pub mod error;
pub mod hub;
pub mod io;
pub mod mqtt;
mod mqtt_client;
mod status;

pub use completion::{Answer, Completion, Pending, Words};
pub use config::{Config, MqttConfig, Tuning};
pub use device_client::{DeviceClient, MessageHandler};
pub use error::{Error, ErrorKind, Result};
pub use mqtt_client::MqttClient;
pub use status::{ConnectionState, Status, StatusHandler};
