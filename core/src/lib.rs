//! Azure IoT Hub device client over MQTT 3.1.1.
//!
//! [`DeviceClient`] talks to an IoT Hub as a device or module; [`MqttClient`] is the connection beneath it, for topics
//! and for other brokers. Both connect once and stay connected until they are closed. A message that was accepted ends
//! exactly once, keeps its order through reconnects, and learns of its own acknowledgement.
//!
//! ```no_run
//! use iothub_mqtt::{Config, DeviceClient, hub::Message};
//!
//! # async fn example() -> iothub_mqtt::Result<()> {
//! let mut config = Config::new();
//! config.set_connection_string("HostName=contoso.azure-devices.net;DeviceId=gauge-1;SharedAccessKey=a2V5")?;
//! let (device, mut driver) = DeviceClient::driven(config)?;
//! // The driver does the I/O: on this runtime here, or use `DeviceClient::threaded` for a thread of the library.
//! tokio::spawn(async move { driver.run().await });
//! device.connect()?.await?;
//!
//! let mut message = Message::new(r#"{"t":21.5}"#);
//! message.set_property("alert", Some("no"))?;
//! device.send(&message)?.await?; // the hub has it
//! # Ok(())
//! # }
//! ```
//!
//! The layers, each importing only from those below it:
//!
//! | module | what is in it |
//! |---|---|
//! | [`DeviceClient`], [`MqttClient`], [`config`] | what an application uses |
//! | [`io`] | everything that touches a socket, a clock or a thread |
//! | [`hub`] | the rules of IoT Hub, pure |
//! | [`mqtt`] | an MQTT 3.1.1 client session, pure |

mod access;
mod completion;
pub mod config;
mod device_client;
mod doctor;
pub mod error;
pub mod hub;
pub mod io;
pub mod mqtt;
mod mqtt_client;
mod stats;
mod status;

pub use completion::{Answer, Completion, Pending, Words};
pub use config::{Config, MqttConfig, Transport, Tuning};
pub use device_client::DeviceClient;
pub use doctor::{Check, Finding, Verdict, doctor};
pub use error::{Error, ErrorKind, Result};
pub use io::{DesiredHandler, InputHandler, MessageHandler, MethodHandler};
pub use mqtt_client::MqttClient;
pub use stats::Stats;
pub use status::{ConnectionState, Status, StatusHandler};
