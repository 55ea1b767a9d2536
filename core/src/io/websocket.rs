//! MQTT's bytes in a WebSocket (RFC 6455; MQTT 3.1.1 section 6), pure: bytes in, bytes out.
//!
//! Both directions are one stream of bytes. What came is passed on as it comes, whatever the length of
//! its frame, so that nothing is kept but the start of a header and a control frame of 125 bytes at
//! most.

mod frames;
#[cfg(test)]
mod tests;
mod upgrade;

use std::fmt;
use std::io;

use bytes::BytesMut;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::cause::Cause;
use super::dial::place;
use super::tls;
use frames::Frames;
use upgrade::Upgrade;

/// The longest header of a frame: of two bytes, 64 bits of length and a mask.
const MOST_HEADER: usize = 14;

/// Why a WebSocket takes no more. The texts follow the name of the peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer said goodbye.
    Closed(String),
    /// The peer broke the rules, or refused the upgrade.
    Broken(Cause, String),
}

/// The client's end of one WebSocket.
pub(super) struct WebSocket {
    phase: Phase,
    /// What the server's clock said when it answered the upgrade, in seconds since 1970.
    server_time: Option<u64>,
}

enum Phase {
    Upgrading(Box<Upgrade>),
    Open(Frames),
}

/// A ping's payload is nobody's business.
impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

impl WebSocket {
    /// And the request that has to leave first. `host` may have the brackets of IPv6 or not.
    pub(super) fn new(host: &str, port: u16, path: &str) -> io::Result<(Self, String)> {
        let place = place(host.trim_matches(['[', ']']), port);
        // Left out where it is the scheme's own, as every client does.
        let place = place.strip_suffix(":443").unwrap_or(&place);
        let mut nonce = [0; 16];
        random(&mut nonce)?;
        let (upgrade, request) = Upgrade::new(place, path, nonce);
        Ok((Self { phase: Phase::Upgrading(Box::new(upgrade)), server_time: None }, request))
    }

    /// Whether the peer has agreed, so that MQTT may pass.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    pub(super) fn server_time(&self) -> Option<u64> {
        self.server_time
    }

    /// Appends to `out` what `received` holds for MQTT; with an error, what came before it.
    pub(super) fn receive(&mut self, mut received: &[u8], out: &mut BytesMut) -> Result<(), Ending> {
        if let Phase::Upgrading(upgrade) = &mut self.phase {
            let answered = upgrade.receive(received);
            self.server_time = upgrade.server_time;
            let Some(rest) = answered? else { return Ok(()) };
            received = rest;
            self.phase = Phase::Open(Frames::default());
        }
        match &mut self.phase {
            Phase::Open(frames) => frames.receive(received, out),
            Phase::Upgrading(_) => Ok(()),
        }
    }

    /// Whether an answer to the peer's ping or goodbye, or a goodbye, waits to go.
    pub(super) fn has_control(&self) -> bool {
        matches!(&self.phase, Phase::Open(frames) if frames.reply.is_some())
    }

    /// Appends that to `out`.
    pub(super) fn write_control(&mut self, out: &mut BytesMut) -> io::Result<()> {
        if let Phase::Open(frames) = &mut self.phase
            && let Some((kind, payload)) = frames.reply.take()
        {
            seal(out, OpCode::Control(kind), |out| out.extend_from_slice(&payload))?;
        }
        Ok(())
    }

    /// Makes one frame, in `out`, of what `fill` appends to it. `out` is empty.
    pub(super) fn write_data(out: &mut BytesMut, fill: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        seal(out, OpCode::Data(Data::Binary), fill)
    }

    /// Queues a goodbye, unless one was said.
    pub(super) fn close(&mut self, broken: bool) {
        const NORMAL: u16 = 1000;
        const PROTOCOL_ERROR: u16 = 1002;
        if let Phase::Open(frames) = &mut self.phase {
            frames.say_goodbye(if broken { PROTOCOL_ERROR } else { NORMAL }.to_be_bytes().to_vec());
        }
    }
}

/// Appends one masked frame to `out`. Its payload is made where it stays: its header is put before it
/// when its length is known.
fn seal(out: &mut BytesMut, opcode: OpCode, fill: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
    // What stands before is carried over, which is next to nothing: a control frame follows data, or
    // none.
    let before = out.split();
    out.resize(MOST_HEADER, 0);
    fill(out);
    let length = (out.len() - MOST_HEADER) as u64;
    let mut mask = [0; 4];
    random(&mut mask)?;
    let header = FrameHeader { opcode, mask: Some(mask), ..FrameHeader::default() };
    let start = MOST_HEADER - header.len(length);
    header.format(length, &mut &mut out[start..MOST_HEADER]).map_err(io::Error::other)?;
    apply(mask, &mut out[MOST_HEADER..]);
    bytes::Buf::advance(out, start);
    if !before.is_empty() {
        let frame = std::mem::replace(out, before);
        out.extend_from_slice(&frame);
    }
    Ok(())
}

/// RFC 6455 section 5.3.
fn apply(mask: [u8; 4], payload: &mut [u8]) {
    let mut words = payload.chunks_exact_mut(4);
    for word in &mut words {
        word.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    words.into_remainder().iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

/// Masks and keys are to be unforeseeable (RFC 6455 section 10.3).
fn random(bytes: &mut [u8]) -> io::Result<()> {
    tls::provider()
        .secure_random
        .fill(bytes)
        .map_err(|_| io::Error::other("the system gives no random numbers"))
}
