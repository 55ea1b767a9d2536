//! How connections should not begin: TLS, HTTP and WebSocket, broken at every place.

use fastrand::Rng;

/// What is sent in TLS, or instead of it.
pub(crate) struct Opening {
    pub(crate) https: bool,
    pub(crate) over: Over,
    pub(crate) bytes: Vec<u8>,
    pub(crate) leave: Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Tcp,
    /// With a name for ALPN that the hub does not speak.
    WrongAlpn,
    Tls,
    /// After a good upgrade.
    WebSocket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Says that nothing more comes, and reads to the end.
    Close,
    /// Closes without a word, with whatever the hub has sent unread.
    Abandon,
}

const HEADS: &[&str] = &[
    "GET /$iothub/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
    "GET /$iothub/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "GET /$iothub/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n\r\n",
    "GET /$iothub/websocket HTTP/1.0\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
    "POST /$iothub/websocket HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "GET /twins/d?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\nAuthorization: SharedAccessSignature sr=x&sig=%zz&se=1&skn=y\r\n\r\n",
    "GET /twins/%00%ff%2e%2e%2f HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "DELETE /emulator/faults HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
    "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{\"a\"}",
    "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551616\r\n\r\n{}",
    "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 17\r\n\r\n{\"fault\":\"dropp\"}",
    "POST /devices/d/messages/devicebound HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
    "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n: empty\r\n\r\n",
    "\r\n\r\n\r\n\r\n",
];

/// A ClientHello of TLS 1.2 as it goes over the wire.
const CLIENT_HELLO: [u8; 54] = [
    0x16, 3, 1, 0, 49, 1, 0, 0, 45, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
    20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0, 0, 0,
];

impl Opening {
    pub(crate) fn any(random: &mut Rng, connect: &[u8]) -> Self {
        let https = random.bool();
        let over = match random.u32(..10) {
            0..5 => Over::Tcp,
            5 if https => Over::WrongAlpn,
            6..8 if https => Over::WebSocket,
            _ => Over::Tls,
        };
        let mut bytes = match over {
            Over::Tcp => below_tls(random),
            Over::WrongAlpn => Vec::new(),
            Over::Tls if https => head(random),
            Over::Tls => connect.to_vec(),
            Over::WebSocket => frames(random, connect),
        };
        match random.u32(..4) {
            // At every byte.
            0 => bytes.truncate(random.usize(..=bytes.len())),
            1 if !bytes.is_empty() => {
                let at = random.usize(..bytes.len());
                bytes[at] ^= 1 << random.u32(..8);
            }
            _ => {}
        }
        let leave = if random.u32(..4) == 0 { Leave::Abandon } else { Leave::Close };
        Self { https, over, bytes, leave }
    }
}

fn garbage(random: &mut Rng, most: usize) -> Vec<u8> {
    (0..random.usize(..most)).map(|_| random.u8(..)).collect()
}

fn below_tls(random: &mut Rng) -> Vec<u8> {
    match random.u32(..7) {
        0 => Vec::new(),
        1 => garbage(random, 2_000),
        2 => HEADS[random.usize(..HEADS.len())].into(),
        3 => b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03dev".to_vec(),
        // Alerts, a record that is too large, one of application data.
        4 => {
            let level = random.u8(..3);
            vec![0x15, 3, 3, 0, 2, level, random.u8(..)]
        }
        5 => [&[0x17, 3, 3, 0xff, 0xff][..], &garbage(random, 300)].concat(),
        _ => {
            let mut hello = CLIENT_HELLO.to_vec();
            let at = random.usize(..hello.len());
            hello[at] = random.u8(..);
            hello
        }
    }
}

fn head(random: &mut Rng) -> Vec<u8> {
    match random.u32(..12) {
        0 => garbage(random, 1_000),
        1 => {
            let size = random.usize(..100_000);
            format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(size)).into_bytes()
        }
        2 => {
            let count = random.usize(..500);
            format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Header: x\r\n".repeat(count))
                .into_bytes()
        }
        3 => HEADS[random.usize(..HEADS.len())].repeat(random.usize(1..20)).into_bytes(),
        _ => HEADS[random.usize(..HEADS.len())].into(),
    }
}

/// WebSocket frames after a good upgrade, and what is none.
fn frames(random: &mut Rng, connect: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.usize(1..4) {
        match random.u32(..14) {
            0 => bytes.extend(frame(0x82, false, connect)),
            1 => bytes.extend(frame(0x81, true, b"text")),
            2 => bytes.extend(frame(0x81, true, b"\xff\xfe")),
            3 => bytes.extend(frame(0x02, true, &connect[..1])),
            4 => bytes.extend(frame(0x80, true, &connect[1..])),
            // Reserved bits, reserved kinds.
            5 => bytes.extend(frame(0x82 | 0x10 << random.u32(..3), true, connect)),
            6 => bytes.extend(frame(0x80 | random.u8(3..8), true, b"")),
            // Control frames that are too large, or in parts.
            7 => bytes.extend(frame(0x89, true, &[0; 126])),
            8 => bytes.extend(frame(0x09, true, b"ping")),
            9 => bytes.extend(frame(0x88, true, &[3])),
            10 => {
                let code = random.u16(..).to_be_bytes();
                bytes.extend(frame(0x88, true, &code));
            }
            11 => bytes.extend([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            12 => bytes.extend(garbage(random, 200)),
            _ => bytes.extend(frame(0x82, true, connect)),
        }
    }
    bytes
}

fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mask = u8::from(masked) << 7;
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(mask | length as u8),
        length => {
            bytes.push(mask | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
    }
    if masked {
        let key = [1, 2, 3, 4];
        bytes.extend(key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// The upgrade that the frames follow.
pub(crate) const UPGRADE: &str = HEADS[0];
