//! What goes into a session besides packets, and what comes out.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::inbound::Delivery;
use super::limits::Limits;
use super::packet::{MAX_TOPIC, QoS};
use crate::error::Result;

/// The parts of a session that do not change with the connection.
#[derive(Debug, Clone)]
pub struct Settings {
    pub limits: Limits,
    /// How long after a PINGREQ has left any byte must come. It has to cover the upload of what
    /// the operating system still holds.
    pub ping_timeout: Duration,
    /// The largest remaining length that is read.
    pub max_packet: usize,
    /// Whether subscriptions are made again when the server has lost the session.
    pub resubscribe: bool,
    /// Whether messages may follow CONNECT before CONNACK, as paho's do.
    pub pipelined: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            ping_timeout: Duration::from_secs(30),
            // 256 KiB of message and the longest topic.
            max_packet: 262_144 + MAX_TOPIC + 4,
            resubscribe: true,
            pipelined: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Down,
    Handshake,
    Up,
    /// A DISCONNECT will follow what is still to be sent.
    Draining(Drain),
    /// DISCONNECT is written; the host closes the stream when it has left.
    Finished,
}

/// What is still to be done before DISCONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// Nothing.
    Now,
    /// What is in flight is acknowledged and every subscription answered; the messages that were
    /// not sent stay queued for the next connection.
    InFlight,
    /// Everything that was accepted is acknowledged.
    Everything,
}

/// Why a session ends its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// CONNACK with this code (MQTT 3.1.1 table 3.1).
    Refused(u8),
    /// No byte came within the ping timeout.
    KeepAlive,
    /// The server broke MQTT.
    Protocol(String),
}

/// How an operation ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// PUBACK, or for QoS 0: handed to the connection.
    Published,
    /// SUBACK: the QoS granted to each filter, `None` where the server refused it (0x80).
    Subscribed(Vec<Option<QoS>>),
    Unsubscribed,
}

/// A received message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub qos: QoS,
    pub retain: bool,
    pub dup: bool,
    /// The packet id, 0 for QoS 0.
    pub id: u16,
    /// To be acknowledged with [`Session::acknowledge`](super::Session::acknowledge); `None` for QoS 0.
    pub delivery: Option<Delivery>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes, {:?}, {:?})", self.payload.len(), self.qos, self.delivery)
    }
}

/// What happened, in the order in which it happened.
#[derive(Debug)]
pub enum Event<T> {
    Connected {
        session_present: bool,
    },
    /// The operation that was accepted with `tag`, and that had the packet id `id`, is over.
    Done {
        tag: T,
        id: u16,
        outcome: Result<Outcome>,
    },
    Message(Message),
}
