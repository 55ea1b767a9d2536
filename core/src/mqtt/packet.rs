//! The wire format. The codec is rumqttc's and is named in this file alone; what it does not
//! guard (lengths, topics, reserved bits) is guarded here, and the two packets that every message
//! costs, PUBLISH out and PUBACK in, are handled without an allocation.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rumqttc::mqttbytes::{Error as CodecError, v4};

pub use rumqttc::mqttbytes::QoS;

use crate::error::{Error, Result};

/// The longest topic, filter, user name or password in bytes (MQTT 3.1.1 section 1.5.3).
pub const MAX_TOPIC: usize = 65_535;
/// The largest value of the remaining length field (MQTT 3.1.1 section 2.2.3).
const MAX_REMAINING: usize = 268_435_455;

/// What a CONNECT says. Made afresh for each connection attempt, because a password ages.
#[derive(Clone, Default)]
pub struct Connect {
    pub client_id: String,
    pub clean_session: bool,
    /// Seconds; 0 switches the mechanism off.
    pub keep_alive: u16,
    pub username: Option<String>,
    pub password: Option<String>,
    pub will: Option<Will>,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("client_id", &self.client_id)
            .field("clean_session", &self.clean_session)
            .field("keep_alive", &self.keep_alive)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("will", &self.will)
            .finish()
    }
}

/// The message that the broker publishes when the connection ends without a DISCONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Will {
    pub topic: String,
    pub payload: Bytes,
    pub qos: QoS,
    pub retain: bool,
}

impl fmt::Debug for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Will({} bytes, {:?})", self.payload.len(), self.qos)
    }
}

/// A message to publish; borrowed, because it is encoded at once.
#[derive(Clone, Copy)]
pub struct Publish<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: QoS,
    pub retain: bool,
}

impl fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Publish({} bytes, {:?})", self.payload.len(), self.qos)
    }
}

/// A packet from the server.
pub(super) enum Incoming {
    ConnAck { session_present: bool, code: u8 },
    Publish { topic: String, payload: Bytes, qos: QoS, retain: bool, dup: bool, id: u16 },
    PubAck(u16),
    PubRel(u16),
    SubAck { id: u16, granted: Vec<Option<QoS>> },
    UnsubAck(u16),
    PingResp,
}

/// DUP in the first byte of a PUBLISH (MQTT 3.1.1 section 3.3.1.1).
pub(super) const DUP: u8 = 0x08;
pub(super) const PINGREQ: [u8; 2] = [0xC0, 0];
pub(super) const DISCONNECT: [u8; 2] = [0xE0, 0];

/// A topic name: 1 to 65,535 bytes, no wildcard, no NUL (MQTT 3.1.1 sections 4.7.1 and 4.7.3).
pub fn check_topic(topic: &str) -> Result<()> {
    check_length("topic", topic)?;
    if topic.bytes().any(|b| matches!(b, b'+' | b'#' | 0)) {
        return Err(Error::argument("topic", "a topic name holds no '+', no '#' and no NUL"));
    }
    Ok(())
}

/// A topic filter: `#` only as the whole last level, `+` only as a whole level.
pub fn check_filter(filter: &str) -> Result<()> {
    check_length("filter", filter)?;
    if filter.contains('\0') {
        return Err(Error::argument("filter", "a topic filter holds no NUL"));
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let wildcard = level.contains(['+', '#']);
        if wildcard && level.len() > 1 || level == "#" && levels.peek().is_some() {
            return Err(Error::argument(
                "filter",
                "'+' stands for a whole level and '#' for the whole end of a topic filter",
            ));
        }
    }
    Ok(())
}

pub(super) fn check_length(name: &str, text: &str) -> Result<()> {
    match text.len() {
        1..=MAX_TOPIC => Ok(()),
        0 => Err(Error::argument(name, "is empty")),
        n => Err(Error::argument(name, format_args!("{n} bytes; MQTT allows {MAX_TOPIC}"))),
    }
}

pub(super) fn check_connect(connect: &Connect) -> Result<()> {
    if connect.client_id.is_empty() && !connect.clean_session {
        return Err(Error::argument("client_id", "is empty, which needs a clean session"));
    }
    let optional = [Some(&connect.client_id), connect.username.as_ref(), connect.password.as_ref()];
    for (name, text) in ["client_id", "username", "password"].into_iter().zip(optional) {
        if text.is_some_and(|text| text.len() > MAX_TOPIC) {
            return Err(Error::argument(name, format_args!("MQTT allows {MAX_TOPIC} bytes")));
        }
        // A password is binary data, which may hold anything.
        if name != "password" && text.is_some_and(|text| text.contains('\0')) {
            return Err(Error::argument(name, "holds a NUL"));
        }
    }
    // The codec leaves an empty user name out.
    if connect.password.is_some() && connect.username.as_ref().is_none_or(String::is_empty) {
        return Err(Error::argument("password", "MQTT 3.1.1 takes no password without a user name"));
    }
    if let Some(will) = &connect.will {
        check_topic(&will.topic)?;
        if will.payload.len() > MAX_TOPIC {
            return Err(Error::argument("will", format_args!("its payload is over {MAX_TOPIC} bytes")));
        }
    }
    Ok(())
}

pub(super) fn write_connect(connect: &Connect, out: &mut BytesMut) -> Result<()> {
    check_connect(connect)?;
    let packet = v4::Connect {
        protocol: rumqttc::mqttbytes::Protocol::V4,
        keep_alive: connect.keep_alive,
        client_id: connect.client_id.clone(),
        clean_session: connect.clean_session,
        last_will: connect.will.as_ref().map(|will| v4::LastWill {
            topic: will.topic.clone(),
            message: will.payload.clone(),
            qos: will.qos,
            retain: will.retain,
        }),
        login: connect.username.as_ref().map(|username| v4::Login {
            username: username.clone(),
            password: connect.password.clone().unwrap_or_default(),
        }),
    };
    packet.write(out).map(drop).map_err(|e| Error::argument("connect", e))
}

/// The size of the encoded PUBLISH, or an error if MQTT cannot carry it.
pub(super) fn publish_size(publish: &Publish<'_>) -> Result<usize> {
    let id = if publish.qos == QoS::AtMostOnce { 0 } else { 2 };
    let remaining = 2 + publish.topic.len() + id + publish.payload.len();
    if remaining > MAX_REMAINING {
        return Err(Error::argument("payload", format_args!("MQTT allows {MAX_REMAINING} bytes")));
    }
    Ok(1 + remaining_length_size(remaining) + remaining)
}

fn remaining_length_size(remaining: usize) -> usize {
    match remaining {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        _ => 4,
    }
}

/// Appends a PUBLISH whose topic and size have been checked.
pub(super) fn write_publish(publish: &Publish<'_>, id: u16, size: usize, out: &mut BytesMut) {
    out.reserve(size);
    out.put_u8(0x30 | (publish.qos as u8) << 1 | u8::from(publish.retain));
    let mut remaining = 2 + publish.topic.len() + publish.payload.len();
    if publish.qos != QoS::AtMostOnce {
        remaining += 2;
    }
    loop {
        let byte = (remaining & 0x7F) as u8;
        remaining >>= 7;
        if remaining == 0 {
            out.put_u8(byte);
            break;
        }
        out.put_u8(byte | 0x80);
    }
    out.put_u16(publish.topic.len() as u16);
    out.extend_from_slice(publish.topic.as_bytes());
    if publish.qos != QoS::AtMostOnce {
        out.put_u16(id);
    }
    out.extend_from_slice(publish.payload);
}

/// `kind` is the first byte: PUBACK 0x40, PUBREC 0x50, PUBCOMP 0x70.
fn write_acknowledgement(kind: u8, id: u16, out: &mut BytesMut) {
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[kind, 2, high, low]);
}

pub(super) fn write_puback(id: u16, out: &mut BytesMut) {
    write_acknowledgement(0x40, id, out);
}

pub(super) fn write_pubrec(id: u16, out: &mut BytesMut) {
    write_acknowledgement(0x50, id, out);
}

pub(super) fn write_pubcomp(id: u16, out: &mut BytesMut) {
    write_acknowledgement(0x70, id, out);
}

pub(super) fn write_subscribe(id: u16, filters: &[(String, QoS)], out: &mut BytesMut) -> Result<()> {
    let filters =
        filters.iter().map(|(path, qos)| v4::SubscribeFilter { path: path.clone(), qos: *qos }).collect();
    let packet = v4::Subscribe { pkid: id, filters };
    packet.write(out).map(drop).map_err(|e| Error::argument("filter", e))
}

pub(super) fn write_unsubscribe(id: u16, filters: &[String], out: &mut BytesMut) -> Result<()> {
    let packet = v4::Unsubscribe { pkid: id, topics: filters.to_vec() };
    packet.write(out).map(drop).map_err(|e| Error::argument("filter", e))
}

/// Takes the next whole packet off `stream`, or `None` if it has not arrived whole.
/// `max_size` bounds the remaining length before anything is kept for it.
pub(super) fn read(stream: &mut BytesMut, max_size: usize) -> std::result::Result<Option<Incoming>, String> {
    match stream[..] {
        [0x40, 2, high, low, ..] => {
            stream.advance(4);
            return Ok(Some(Incoming::PubAck(u16::from_be_bytes([high, low]))));
        }
        // The codec knows neither the reserved flags nor the codes above 5.
        [0x20, 2, flags @ 0..=1, code, ..] => {
            stream.advance(4);
            return Ok(Some(Incoming::ConnAck { session_present: flags == 1, code }));
        }
        [0x20, 2, flags @ 2..=0xFF, ..] => return Err(format!("a CONNACK with the flags {flags:#04x}")),
        _ => check_header(stream)?,
    }
    let packet = match v4::Packet::read(stream, max_size) {
        Ok(packet) => packet,
        Err(CodecError::InsufficientBytes(_)) => return Ok(None),
        Err(CodecError::PayloadSizeLimitExceeded(n)) => {
            return Err(format!("a packet of {n} bytes; the limit is {max_size}"));
        }
        Err(error) => return Err(format!("a malformed packet: {error}")),
    };
    let incoming = match packet {
        v4::Packet::Publish(p) => {
            // A wildcard is no reason to hang up: the message would come again on every connection.
            if p.topic.is_empty() || p.topic.contains('\0') {
                return Err("a PUBLISH without a topic, or with a NUL in it".into());
            }
            Incoming::Publish {
                topic: p.topic,
                payload: p.payload,
                qos: p.qos,
                retain: p.retain,
                dup: p.dup,
                id: p.pkid,
            }
        }
        v4::Packet::PubAck(ack) => Incoming::PubAck(ack.pkid),
        v4::Packet::PubRel(rel) => Incoming::PubRel(rel.pkid),
        v4::Packet::SubAck(ack) => Incoming::SubAck {
            id: ack.pkid,
            granted: ack
                .return_codes
                .iter()
                .map(|code| match code {
                    v4::SubscribeReasonCode::Success(qos) => Some(*qos),
                    v4::SubscribeReasonCode::Failure => None,
                })
                .collect(),
        },
        v4::Packet::UnsubAck(ack) => Incoming::UnsubAck(ack.pkid),
        v4::Packet::PingResp => Incoming::PingResp,
        _ => return Err("a packet that is never for a client, or answers a QoS 2 message of ours".into()),
    };
    Ok(Some(incoming))
}

/// The codec looks neither at the reserved flag bits (MQTT 3.1.1 section 2.2.2) nor for bytes too
/// many in a packet that has one possible length.
fn check_header(stream: &[u8]) -> std::result::Result<(), String> {
    let Some(&first) = stream.first() else { return Ok(()) };
    if stream.starts_with(b"HTTP/") {
        return Err("an answer in HTTP: this port is for WebSockets, or none of MQTT".into());
    }
    let kind = first >> 4;
    let (flags, length) = match kind {
        3 => return Ok(()),
        6 => (2, Some(2)),
        8 | 10 => (2, None),
        2 | 4 | 5 | 7 | 11 => (0, Some(2)),
        13 => (0, Some(0)),
        _ => (0, None),
    };
    if first & 0x0F != flags {
        return Err(format!("reserved flag bits in a packet of type {kind}"));
    }
    match (stream.get(1), length) {
        (Some(&got), Some(wanted)) if got != wanted => {
            Err(format!("a packet of type {kind} with a wrong length"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn publish_is_what_the_codec_reads(
            topic in "[a-z/$%]{1,300}",
            payload in prop::collection::vec(any::<u8>(), 0..20_000),
            qos in 0..2u8,
            retain: bool,
            id in 1..=u16::MAX,
        ) {
            let qos = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
            let publish = Publish { topic: &topic, payload: &payload, qos, retain };
            let mut out = BytesMut::new();
            let size = publish_size(&publish).unwrap();
            write_publish(&publish, id, size, &mut out);
            prop_assert_eq!(out.len(), size);
            let v4::Packet::Publish(read) = v4::Packet::read(&mut out, 1 << 20).unwrap() else {
                panic!("not a PUBLISH")
            };
            prop_assert_eq!(read.topic, topic);
            prop_assert_eq!(&read.payload[..], &payload[..]);
            prop_assert_eq!(read.qos, qos);
            prop_assert_eq!(read.retain, retain);
            prop_assert_eq!(read.pkid, if qos == QoS::AtMostOnce { 0 } else { id });
        }

        #[test]
        fn hostile_bytes_are_an_error_or_a_wait(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = read(&mut stream, 1024) {}
        }
    }

    #[test]
    fn filters_follow_section_4_7() {
        for good in ["a", "#", "+", "a/#", "a/+/b", "/", "$iothub/twin/res/#"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for bad in ["", "a#", "a/#/b", "a+/b", "#/", "a\0"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_topics_are_refused_not_truncated() {
        assert!(check_topic(&"t".repeat(MAX_TOPIC)).is_ok());
        assert!(check_topic(&"t".repeat(MAX_TOPIC + 1)).is_err());
    }

    #[test]
    fn an_answer_in_http_is_named() {
        let error = read(&mut BytesMut::from(&b"HTTP/1.1 400 Bad Request\r\n"[..]), 100).err().unwrap();
        assert!(error.contains("HTTP"), "{error}");
    }

    #[test]
    fn reserved_bits_are_refused() {
        assert!(read(&mut BytesMut::from(&[0x41, 2, 0, 1][..]), 100).is_err());
        assert!(read(&mut BytesMut::from(&[0x21, 2, 0, 0][..]), 100).is_err());
        assert!(read(&mut BytesMut::from(&[0x20, 2, 2, 0][..]), 100).is_err());
    }
}
