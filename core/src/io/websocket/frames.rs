//! The frames that come (RFC 6455 section 5).

use std::io::Cursor;

use bytes::BytesMut;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{Ending, MOST_HEADER};
use crate::io::cause::Cause;

const MOST_CONTROL: u64 = 125;

/// What is known of the frames so far.
#[derive(Default)]
pub(super) struct Frames {
    /// A header that is not whole yet, in the first `held` bytes.
    header: [u8; MOST_HEADER],
    held: usize,
    current: Option<Frame>,
    /// The message goes on in another frame.
    unfinished: bool,
    /// The payload of a control frame that is not whole yet.
    control: Vec<u8>,
    /// To be sent: a goodbye, or the answer to the last ping. Earlier pings need none (section 5.5.3).
    pub(super) reply: Option<(Control, Vec<u8>)>,
    goodbye_said: bool,
}

/// A frame whose header has come.
struct Frame {
    kind: OpCode,
    left: u64,
}

impl Frames {
    pub(super) fn receive(&mut self, mut received: &[u8], out: &mut BytesMut) -> Result<(), Ending> {
        while !received.is_empty() {
            let Some(frame) = &mut self.current else {
                received = self.take_header(received)?;
                // A frame without payload is whole already.
                self.end_frame()?;
                continue;
            };
            let count = usize::try_from(frame.left).unwrap_or(usize::MAX).min(received.len());
            let (payload, rest) = received.split_at(count);
            frame.left -= count as u64;
            received = rest;
            match frame.kind {
                OpCode::Data(_) => out.extend_from_slice(payload),
                OpCode::Control(_) => self.control.extend_from_slice(payload),
            }
            self.end_frame()?;
        }
        Ok(())
    }

    /// What is left of `received`.
    fn take_header<'a>(&mut self, received: &'a [u8]) -> Result<&'a [u8], Ending> {
        let before = self.held;
        let count = received.len().min(MOST_HEADER - before);
        self.header[before..before + count].copy_from_slice(&received[..count]);
        let mut cursor = Cursor::new(&self.header[..before + count]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| broken("a frame of an unknown kind"))?;
        let Some((header, length)) = parsed else {
            self.held = before + count;
            return Ok(&received[count..]);
        };
        let used = usize::try_from(cursor.position()).unwrap_or(before);
        self.held = 0;
        self.check(&header, length)?;
        self.current = Some(Frame { kind: header.opcode, left: length });
        Ok(received.get(used.saturating_sub(before)..).unwrap_or_default())
    }

    fn check(&mut self, header: &FrameHeader, length: u64) -> Result<(), Ending> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(broken("a frame of an extension that was not agreed"));
        }
        if header.mask.is_some() {
            return Err(broken("a masked frame, as only clients do"));
        }
        if length > i64::MAX as u64 {
            return Err(broken("a frame of an impossible length"));
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(broken("a control frame in parts")),
            OpCode::Control(_) if length > MOST_CONTROL => {
                return Err(broken("a control frame of more than 125 bytes"));
            }
            OpCode::Control(_) => return Ok(()),
            OpCode::Data(Data::Text) => return Err(broken("a text frame, where MQTT goes in binary ones")),
            OpCode::Data(Data::Continue) if !self.unfinished => {
                return Err(broken("the continuation of a message that has not begun"));
            }
            OpCode::Data(Data::Continue) => {}
            OpCode::Data(_) if self.unfinished => {
                return Err(broken("a message inside of another that is not whole"));
            }
            OpCode::Data(_) => {}
        }
        self.unfinished = !header.is_final;
        Ok(())
    }

    fn end_frame(&mut self) -> Result<(), Ending> {
        let Some(frame) = self.current.take_if(|frame| frame.left == 0) else { return Ok(()) };
        let OpCode::Control(kind) = frame.kind else { return Ok(()) };
        let payload = std::mem::take(&mut self.control);
        match kind {
            Control::Ping if !self.goodbye_said => self.reply = Some((Control::Pong, payload)),
            Control::Close => {
                let text = goodbye(&payload);
                // Only the code is sent back.
                self.say_goodbye(payload.into_iter().take(2).collect());
                return Err(text.map_or_else(broken, Ending::Closed));
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn say_goodbye(&mut self, payload: Vec<u8>) {
        if !std::mem::replace(&mut self.goodbye_said, true) {
            self.reply = Some((Control::Close, payload));
        }
    }
}

/// `1001: going away`, for people.
fn goodbye(payload: &[u8]) -> Result<String, &'static str> {
    match payload {
        [] => Ok("no code".to_owned()),
        [_] => Err("a goodbye whose code is one byte"),
        [high, low, reason @ ..] => {
            let reason = std::str::from_utf8(reason).map_err(|_| "a goodbye that is not UTF-8")?;
            let reason: String = reason.chars().filter(|char| !char.is_control()).collect();
            let colon = if reason.is_empty() { "" } else { ": " };
            Ok(format!("{}{colon}{reason}", u16::from_be_bytes([*high, *low])))
        }
    }
}

fn broken(what: &str) -> Ending {
    Ending::Broken(Cause::Protocol, format!("sent {what}"))
}
