//! An MQTT 3.1.1 client session without I/O: packets, commands and the time go in, packets and
//! events come out. It knows nothing of IoT Hub.

mod counters;
mod event;
mod expiry;
mod inbound;
mod keep_alive;
mod limits;
mod outbox;
mod packet;
mod session;
mod slot;
mod subscriptions;

pub use counters::Counters;
pub use event::{Drain, Event, Fault, Message, Outcome, Settings, State};
pub use inbound::Delivery;
pub use limits::Limits;
pub use outbox::Refused;
pub use packet::{Connect, MAX_TOPIC, Publish, QoS, Will, check_filter, check_topic};
pub use session::Session;
