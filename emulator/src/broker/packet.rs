//! The wire format of MQTT 3.1.1. No other file of the emulator names the codec.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{Error as CodecError, v4};

pub(crate) use rumqttc::mqttbytes::QoS;
pub(crate) use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, LastWill, Login, Packet, Publish, Subscribe, Unsubscribe,
};

/// The largest remaining length that the hub reads: a full message of 256 KiB with a full topic.
/// The message's own limit is checked where its properties are known.
const MAX_REMAINING: usize = 262_144 + 65_535 + 4;

/// The same before anybody has proved who they are: a last will of 64 KiB with its topic, and the rest
/// of a CONNECT.
const MAX_CONNECT: usize = 128 * 1024;

/// Why a byte stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A CONNECT of another protocol or level; it deserves return code 1.
    ProtocolLevel,
    /// A packet that announces more bytes than the hub takes.
    TooLarge(usize),
    Malformed(String),
}

/// Takes the next whole packet from `stream`; `None` when more bytes are needed.
pub(crate) fn read(stream: &mut BytesMut) -> Result<Option<Packet>, Unreadable> {
    read_within(stream, MAX_REMAINING)
}

/// As [`read`], for the first packet of a connection.
pub(crate) fn read_first(stream: &mut BytesMut) -> Result<Option<Packet>, Unreadable> {
    read_within(stream, MAX_CONNECT)
}

fn read_within(stream: &mut BytesMut, limit: usize) -> Result<Option<Packet>, Unreadable> {
    if other_protocol(stream) {
        return Err(Unreadable::ProtocolLevel);
    }
    if let Some(rule) = broken_rule(stream) {
        return Err(Unreadable::Malformed(rule.into()));
    }
    match Packet::read(stream, limit) {
        Ok(
            Packet::Subscribe(Subscribe { pkid: 0, .. }) | Packet::Unsubscribe(Unsubscribe { pkid: 0, .. }),
        ) => Err(Unreadable::Malformed("the packet id 0".into())),
        Ok(Packet::Unsubscribe(Unsubscribe { topics, .. })) if topics.is_empty() => {
            Err(Unreadable::Malformed("UNSUBSCRIBE without a filter".into()))
        }
        Ok(Packet::Publish(publish)) if publish.topic.contains('\0') => {
            Err(Unreadable::Malformed("a topic with the character U+0000".into()))
        }
        Ok(packet) => Ok(Some(packet)),
        Err(CodecError::InsufficientBytes(_)) => Ok(None),
        Err(CodecError::PayloadSizeLimitExceeded(size)) => Err(Unreadable::TooLarge(size)),
        Err(CodecError::InvalidProtocol | CodecError::InvalidProtocolLevel(_)) => {
            Err(Unreadable::ProtocolLevel)
        }
        Err(error) => Err(Unreadable::Malformed(error.to_string())),
    }
}

/// Whether the stream starts with a CONNECT that is not MQTT 3.1.1.
///
/// Asked before the codec, which reads the body of a level 5 CONNECT as if it were level 4.
fn other_protocol(stream: &[u8]) -> bool {
    matches!(connect(stream), Some((name, [level, ..])) if name != b"MQTT" || *level != 4)
}

/// The protocol's name in a CONNECT at the start of the stream, and what follows it.
fn connect(stream: &[u8]) -> Option<(&[u8], &[u8])> {
    let (0x10, rest) = stream.split_first()? else {
        return None;
    };
    let length_bytes = rest.iter().take(4).take_while(|b| **b & 0x80 != 0).count() + 1;
    let [high, low, rest @ ..] = rest.get(length_bytes..)? else {
        return None;
    };
    rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
}

/// What MQTT 3.1.1 forbids at the start of a packet and the codec does not look at.
fn broken_rule(stream: &[u8]) -> Option<&'static str> {
    match stream {
        // The flags of a packet's first byte, which only PUBLISH may choose.
        [0x30..=0x3f | 0x62 | 0x82 | 0xa2, ..] => None,
        [0x60..=0x6f | 0x80..=0x8f | 0xa0..=0xaf, ..] => Some("reserved flags in the first byte"),
        [first, ..] if first & 0x0f != 0 => Some("reserved flags in the first byte"),
        [0xc0 | 0xe0, length, ..] if *length != 0 => Some("PINGREQ and DISCONNECT are two bytes"),
        [0x10, ..] => match connect(stream)? {
            (_, [_, flags, ..]) if flags & 1 != 0 => Some("the reserved flag of CONNECT"),
            (_, [_, flags, ..]) if flags & 0xc0 == 0x40 => Some("a password without a user name"),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn write_connack(out: &mut BytesMut, session_present: bool, code: u8) {
    out.extend_from_slice(&[0x20, 2, u8::from(session_present), code]);
}

pub(crate) fn write_puback(out: &mut BytesMut, id: u16) {
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[0x40, 2, high, low]);
}

pub(crate) fn write_unsuback(out: &mut BytesMut, id: u16) {
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[0xb0, 2, high, low]);
}

pub(crate) fn write_pingresp(out: &mut BytesMut) {
    out.extend_from_slice(&[0xd0, 0]);
}

/// `None` refuses a filter.
pub(crate) fn write_suback(out: &mut BytesMut, id: u16, granted: &[Option<u8>]) {
    let code = |qos: Option<u8>| match qos {
        Some(qos) => v4::SubscribeReasonCode::Success(level(qos)),
        None => v4::SubscribeReasonCode::Failure,
    };
    let codes = granted.iter().copied().map(code).collect();
    // The only failure is a length above 256 MiB.
    let _ = v4::SubAck::new(id, codes).write(out);
}

/// Writes a PUBLISH; `id` is 0 exactly when it goes at QoS 0. A topic above 65535 bytes is dropped.
pub(crate) fn write_publish(out: &mut BytesMut, topic: &str, id: u16, dup: bool, body: &Bytes) {
    if topic.len() > usize::from(u16::MAX) {
        return;
    }
    let mut publish = Publish::from_bytes(topic, level(u8::from(id != 0)), body.clone());
    publish.pkid = id;
    publish.dup = dup;
    let _ = publish.write(out);
}

fn level(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn connect_bytes(name: &[u8], level: u8) -> BytesMut {
        let mut body = vec![0, name.len() as u8];
        body.extend_from_slice(name);
        body.extend_from_slice(&[level, 2, 0, 10, 0, 1, b'd']);
        let mut packet = vec![0x10, body.len() as u8];
        packet.extend(body);
        BytesMut::from(&packet[..])
    }

    #[test]
    fn only_level_four_of_mqtt_is_read() {
        for (name, level, accepted) in
            [(&b"MQTT"[..], 4, true), (b"MQTT", 5, false), (b"MQTT", 3, false), (b"MQIsdp", 3, false)]
        {
            let result = read(&mut connect_bytes(name, level));
            match accepted {
                true => assert!(matches!(result, Ok(Some(Packet::Connect(_))))),
                false => assert_eq!(result, Err(Unreadable::ProtocolLevel)),
            }
        }
    }

    #[test]
    fn every_prefix_of_a_packet_waits_for_more() {
        let whole = connect_bytes(b"MQTT", 4);
        for end in 0..whole.len() {
            assert_eq!(read(&mut BytesMut::from(&whole[..end])), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn what_mqtt_reserves_is_refused_though_the_codec_takes_it() {
        let connect = |flags: u8| {
            let mut packet = connect_bytes(b"MQTT", 4);
            packet[9] = flags;
            read(&mut packet)
        };
        assert!(matches!(connect(2), Ok(Some(Packet::Connect(_)))));
        for flags in [0x03, 0x42] {
            assert!(matches!(connect(flags), Err(Unreadable::Malformed(_))), "{flags:#x}");
        }
        for bytes in [
            &[0x80, 0x05, 0, 1, 0, 1, b'a', 0][..],
            &[0x82, 0x06, 0, 0, 0, 1, b'a', 0],
            &[0xa2, 0x05, 0, 0, 0, 1, b'a'],
            &[0xa2, 0x02, 0, 1],
            &[0xa0, 0x05, 0, 1, 0, 1, b'a'],
            &[0x30, 0x03, 0, 1, 0],
            &[0x41, 0x02, 0, 1],
            &[0x60, 0x02, 0, 1],
            &[0xc1, 0x00],
            &[0xc0, 0x01, 0],
            &[0xe0, 0x01, 0],
            &[0xe1, 0x00],
        ] {
            assert!(matches!(read(&mut bytes.into()), Err(Unreadable::Malformed(_))), "{bytes:x?}");
        }
        for bytes in [
            &[0x82, 0x06, 0, 1, 0, 1, b'a', 0][..],
            &[0xa2, 0x05, 0, 1, 0, 1, b'a'],
            &[0x40, 0x02, 0, 1],
            &[0x3b, 0x05, 0, 1, b'a', 0, 1],
            &[0xc0, 0x00],
            &[0xe0, 0x00],
        ] {
            assert!(matches!(read(&mut bytes.into()), Ok(Some(_))), "{bytes:x?}");
        }
    }

    #[test]
    fn an_announced_length_above_the_limit_is_refused_at_once() {
        let mut stream = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0x7f][..]);
        assert_eq!(read(&mut stream), Err(Unreadable::TooLarge(268_435_455)));
    }
}
