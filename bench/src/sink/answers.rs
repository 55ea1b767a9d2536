//! What the sink answers to what it reads: MQTT 3.1.1 from the hub's side, without looking at the contents.

use std::io;

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

/// The state of one connection: where it is inside a packet.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Bytes of the current packet that are still to come and mean nothing.
    skip: usize,
    /// What to answer when they have come.
    owed: Option<[u8; 4]>,
    ended: bool,
}

impl Answers {
    /// The client said that it is leaving, and now the hub has to close.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Appends the answers to what is in `input` to `replies`. Returns how many bytes are done with; the others are
    /// the start of a packet and have to come again with more after them. 65,542 bytes are always enough.
    ///
    /// # Errors
    /// What comes is no MQTT, or is nothing that a device sends.
    pub(super) fn take(&mut self, input: &[u8], replies: &mut Vec<u8>) -> io::Result<usize> {
        let mut taken = 0;
        loop {
            let skipped = self.skip.min(input.len() - taken);
            taken += skipped;
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(taken);
            }
            if let Some(reply) = self.owed.take() {
                replies.extend_from_slice(&reply);
            }
            match self.header(&input[taken..], replies)? {
                Some(header) => taken += header,
                None => return Ok(taken),
            }
        }
    }

    /// Reads as much of a packet as its answer needs; `None` when not all of that has come.
    fn header(&mut self, input: &[u8], replies: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let Some((start, length)) = fixed_header(input)? else {
            return Ok(None);
        };
        let body = &input[start..];
        match input[0] >> 4 {
            CONNECT => self.owed = Some([0x20, 2, 0, 0]),
            PUBLISH => {
                let Some(topic) = pair(body, 0) else {
                    return Ok(None);
                };
                let at = 2 + usize::from(topic);
                match (input[0] >> 1) & 3 {
                    0 => {}
                    1 => match pair(body, at) {
                        Some(id) if at + 2 <= length => {
                            self.owed = Some([0x40, 2, (id >> 8) as u8, id as u8])
                        }
                        Some(_) => return Err(malformed("a PUBLISH shorter than its topic")),
                        None => return Ok(None),
                    },
                    _ => return Err(malformed("a PUBLISH at QoS 2")),
                }
            }
            SUBSCRIBE => {
                let Some(body) = whole(body, length)? else {
                    return Ok(None);
                };
                let granted = filters(body)?;
                replies.extend_from_slice(&[0x90, 2 + granted.len() as u8, body[0], body[1]]);
                replies.extend_from_slice(&granted);
            }
            UNSUBSCRIBE => match pair(body, 0) {
                Some(id) if length >= 2 => self.owed = Some([0xB0, 2, (id >> 8) as u8, id as u8]),
                Some(_) => return Err(malformed("an UNSUBSCRIBE without an id")),
                None => return Ok(None),
            },
            PINGREQ => replies.extend_from_slice(&[0xD0, 0]),
            DISCONNECT => self.ended = true,
            other => return Err(malformed(&format!("packet type {other}"))),
        }
        self.skip = length;
        Ok(Some(start))
    }
}

/// Where the body starts and how long it is.
fn fixed_header(input: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let mut length = 0;
    for at in 0..4 {
        let Some(&byte) = input.get(1 + at) else {
            return Ok(None);
        };
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((2 + at, length)));
        }
    }
    Err(malformed("a length of five bytes"))
}

fn pair(body: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]))
}

fn whole(body: &[u8], length: usize) -> io::Result<Option<&[u8]>> {
    if !(2..=65_535).contains(&length) {
        return Err(malformed("a SUBSCRIBE of a length that nobody needs"));
    }
    Ok(body.get(..length))
}

/// The QoS granted to each filter of a SUBSCRIBE: what was asked for, at most 1, as IoT Hub does.
fn filters(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut granted = Vec::new();
    let mut at = 2;
    while at < body.len() {
        let qos = pair(body, at).map(|length| at + 2 + usize::from(length));
        let Some((next, &qos)) = qos.and_then(|next| Some((next, body.get(next)?))) else {
            return Err(malformed("a SUBSCRIBE that ends inside a filter"));
        };
        granted.push(qos.min(1));
        at = next + 1;
    }
    if granted.len() > 100 {
        return Err(malformed("a SUBSCRIBE of more than 100 filters"));
    }
    Ok(granted)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the client sent {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn publish(qos: u8, id: u16, payload: usize) -> Vec<u8> {
        let mut body = vec![0, 3, b'a', b'/', b'b'];
        if qos > 0 {
            body.extend(id.to_be_bytes());
        }
        body.resize(body.len() + payload, 0xFF);
        let mut packet = vec![0x30 | (qos << 1)];
        let mut length = body.len();
        while length >= 128 {
            packet.push((length % 128) as u8 | 0x80);
            length /= 128;
        }
        packet.push(length as u8);
        packet.extend(body);
        packet
    }

    fn conversation() -> (Vec<u8>, Vec<u8>) {
        let said = [
            vec![0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 2, b'm', b'e'],
            publish(0, 0, 20),
            publish(1, 1, 0),
            publish(1, 0x0102, 300),
            vec![0x82, 11, 0, 7, 0, 1, b'a', 0, 0, 2, b'b', b'c', 2],
            vec![0xA2, 5, 0, 8, 0, 1, b'a'],
            vec![0xC0, 0],
            publish(1, 65_535, 20_000),
            vec![0xE0, 0],
        ]
        .concat();
        let heard = [
            vec![0x20, 2, 0, 0],
            vec![0x40, 2, 0, 1],
            vec![0x40, 2, 1, 2],
            vec![0x90, 4, 0, 7, 0, 1],
            vec![0xB0, 2, 0, 8],
            vec![0xD0, 0],
            vec![0x40, 2, 0xFF, 0xFF],
        ]
        .concat();
        (said, heard)
    }

    #[test]
    fn the_answers_do_not_depend_on_how_the_bytes_arrive() {
        let (said, heard) = conversation();
        for portion in [1, 2, 3, 7, 100, 4096, said.len()] {
            let (mut answers, mut replies, mut waiting) = (Answers::default(), Vec::new(), Vec::new());
            for bytes in said.chunks(portion) {
                waiting.extend_from_slice(bytes);
                let taken = answers.take(&waiting, &mut replies).unwrap();
                waiting.drain(..taken);
            }
            assert_eq!(replies, heard, "in portions of {portion}");
            assert!(waiting.is_empty() && answers.ended());
        }
    }

    #[test]
    fn a_message_is_acknowledged_with_its_last_byte() {
        let packet = publish(1, 5, 300);
        let (mut answers, mut replies) = (Answers::default(), Vec::new());
        let taken = answers.take(&packet[..packet.len() - 1], &mut replies).unwrap();
        assert!(replies.is_empty());
        answers.take(&packet[taken..], &mut replies).unwrap();
        assert_eq!(replies, [0x40, 2, 0, 5]);
    }

    #[test]
    fn what_is_no_mqtt_ends_the_connection() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            &[0x10, 0x80, 0x80, 0x80, 0x80, 0],
            &[0x34, 7, 0, 1, b'a', 0, 1],
            &[0x32, 3, 0, 1, b'a', 0, 1],
            &[0x82, 5, 0, 1, 0, 9, b'a'],
            &[0x82, 1, 0],
            &[0x40, 2, 0, 1],
        ] {
            assert!(Answers::default().take(bytes, &mut Vec::new()).is_err(), "{bytes:?}");
        }
    }
}
