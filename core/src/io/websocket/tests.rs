#![allow(clippy::unwrap_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sha1::{Digest, Sha1};

use super::*;

const PATH: &str = "/$iothub/websocket";
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;

/// One frame of a server, by RFC 6455 section 5.2.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(length as u8),
        length @ 126..65_536 => {
            bytes.push(126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    [&bytes, payload].concat()
}

/// The first byte and the payload of each of a client's frames.
fn sent(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(second & 0x80, 0x80, "not masked");
        let (length, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()), &rest[8..]),
            length => (length.into(), rest),
        };
        let (mask, rest) = rest.split_at(4);
        let (payload, rest) = rest.split_at(length as usize);
        frames.push((
            *first,
            payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(),
        ));
        bytes = rest;
    }
    frames
}

fn accept_of(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
    STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

fn agreement(request: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n\
         sec-websocket-accept: {}\r\nsec-websocket-protocol: MQTT\r\n\r\n",
        accept_of(request)
    )
}

fn open() -> WebSocket {
    let (mut websocket, request) = WebSocket::new("hub", 443, PATH).unwrap();
    websocket.receive(agreement(&request).as_bytes(), &mut BytesMut::new()).unwrap();
    assert!(websocket.is_open());
    websocket
}

/// Its answers.
fn controls(websocket: &mut WebSocket) -> Vec<(u8, Vec<u8>)> {
    let mut out = BytesMut::new();
    while websocket.has_control() {
        websocket.write_control(&mut out).unwrap();
    }
    sent(&out)
}

#[test]
fn the_request() {
    for (host, port, place) in [
        ("contoso.azure-devices.net", 443, "contoso.azure-devices.net"),
        ("localhost", 8443, "localhost:8443"),
        ("[::1]", 443, "[::1]"),
        ("::1", 8443, "[::1]:8443"),
    ] {
        let (_, request) = WebSocket::new(host, port, PATH).unwrap();
        let (start, rest) = request.split_once("Sec-WebSocket-Key: ").unwrap();
        assert_eq!(
            start,
            format!(
                "GET /$iothub/websocket HTTP/1.1\r\nHost: {place}\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            )
        );
        assert_eq!(rest.split_once("\r\n").unwrap().1, "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
    }
}

/// The example of RFC 6455 section 1.3.
#[test]
fn the_key_of_the_specification() {
    let nonce = STANDARD.decode("dGhlIHNhbXBsZSBub25jZQ==").unwrap().try_into().unwrap();
    let (mut upgrade, _) = Upgrade::new("hub", PATH, nonce);
    let answer = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    assert_eq!(upgrade.receive(answer.as_bytes()), Ok(Some(&b""[..])));
}

#[test]
fn answers_that_are_refused() {
    let without = |line: &str| {
        let line = line.to_owned();
        move |good: &str| good.split_inclusive("\r\n").filter(|one| !one.starts_with(&line)).collect()
    };
    type Change = Box<dyn Fn(&str) -> String>;
    let say = |answer: &'static str| -> Change { Box::new(move |_| answer.to_owned()) };
    let add = |line: &'static str| -> Change {
        Box::new(move |good| good.replacen("\r\n", &format!("\r\n{line}\r\n"), 1))
    };
    let table: [(Change, Cause, &str); 20] = [
        (Box::new(without("upgrade")), Cause::Protocol, "without the fields Upgrade and Connection"),
        (Box::new(without("connection")), Cause::Protocol, "without the fields Upgrade and Connection"),
        (Box::new(without("sec-websocket-accept")), Cause::Protocol, "wrong Sec-WebSocket-Accept"),
        (
            Box::new(|good| good.replace("accept: ", "accept: A")),
            Cause::Protocol,
            "wrong Sec-WebSocket-Accept",
        ),
        (add("Sec-WebSocket-Accept: x"), Cause::Protocol, "wrong Sec-WebSocket-Accept"),
        (Box::new(without("sec-websocket-protocol")), Cause::Protocol, "without the subprotocol mqtt"),
        (Box::new(|good| good.replace("MQTT", "amqp")), Cause::Protocol, "without the subprotocol mqtt"),
        (
            Box::new(|good| good.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: amqp\r\n\r\n")),
            Cause::Protocol,
            "not asked for",
        ),
        (add("Sec-WebSocket-Extensions: permessage-deflate"), Cause::Protocol, "an extension that was not"),
        (say("HTTP/1.1 200 OK\r\n\r\n"), Cause::Protocol, "with 200 OK"),
        (
            say("HTTP/1.1 302 Found\r\nLocation: https://x/?secret\r\n\r\n"),
            Cause::Protocol,
            "302 Found: it points",
        ),
        (say("HTTP/1.1 400 Bad Request\r\n\r\n"), Cause::Protocol, "does not take this path or the subprot"),
        (say("HTTP/1.1 401 Unauthorized\r\n\r\n"), Cause::Network, "were not asked for yet"),
        (say("HTTP/1.1 403 Forbidden\r\n\r\n"), Cause::Network, "403 Forbidden: a firewall, an IP filter"),
        (say("HTTP/1.1 404 Not Found\r\n\r\n"), Cause::Protocol, "no WebSocket at this path"),
        (say("HTTP/1.1 407 Proxy\r\n\r\n"), Cause::Proxy, "a proxy in between"),
        (say("HTTP/1.1 429 Too Many Requests\r\n\r\n"), Cause::Throttled, "429 Too Many Requests"),
        (say("HTTP/1.1 503 Service Unavailable\r\n\r\n"), Cause::Network, "not available now"),
        (say("\x20\x02\x00\x05"), Cause::Protocol, "no HTTP answer in place of a WebSocket upgrade"),
        (Box::new(|_| format!("HTTP/1.1 101 X\r\nA: {}", "x".repeat(17_000))), Cause::Protocol, "16 KiB"),
    ];
    for (change, cause, part) in table {
        let (mut websocket, request) = WebSocket::new("hub", 443, PATH).unwrap();
        let answer = change(&agreement(&request));
        let ending = websocket.receive(answer.as_bytes(), &mut BytesMut::new()).unwrap_err();
        let Ending::Broken(actual, text) = ending else { panic!("{ending:?}") };
        assert_eq!(actual, cause, "{text}");
        assert!(text.contains(part), "{part:?} is not in {text:?}");
        assert!(!text.contains("secret"), "{text}");
        assert!(!websocket.is_open() && !websocket.has_control());
    }
}

#[test]
fn frames_that_are_refused() {
    let masked = [&[BINARY | FINAL, 0x81, 1, 2, 3, 4][..], b"x"].concat();
    for (bytes, part) in [
        (frame(TEXT | FINAL, b"hello"), "a text frame"),
        (frame(TEXT, b""), "a text frame"),
        (masked, "a masked frame"),
        (frame(PING, b""), "a control frame in parts"),
        (frame(PING | FINAL, &[0; 126]), "more than 125 bytes"),
        (frame(CLOSE | FINAL, &[0; 200]), "more than 125 bytes"),
        (frame(BINARY | FINAL | 0x40, b""), "an extension"),
        (frame(BINARY | FINAL | 0x10, b""), "an extension"),
        (frame(3 | FINAL, b""), "an unknown kind"),
        (frame(11 | FINAL, b""), "an unknown kind"),
        (frame(CONTINUATION | FINAL, b""), "has not begun"),
        ([frame(BINARY, b"a"), frame(BINARY | FINAL, b"b")].concat(), "inside of another"),
        ([&[BINARY | FINAL, 127][..], &[0xff; 8]].concat(), "an impossible length"),
        (frame(CLOSE | FINAL, &[3]), "one byte"),
        (frame(CLOSE | FINAL, &[3, 0xe8, 0xff]), "not UTF-8"),
    ] {
        let mut websocket = open();
        let mut out = BytesMut::new();
        let good = frame(BINARY | FINAL, b"before");
        let ending = websocket.receive(&[good, bytes].concat(), &mut out).unwrap_err();
        let Ending::Broken(Cause::Protocol, text) = ending else { panic!("{ending:?}") };
        assert!(text.starts_with("sent ") && text.contains(part), "{part:?} is not in {text:?}");
        assert!(out.starts_with(b"before"), "{text}");
        websocket.close(true);
        assert_eq!(controls(&mut websocket)[0].0, CLOSE | FINAL);
    }
}

#[test]
fn a_ping_is_answered_and_of_many_the_last() {
    let mut websocket = open();
    let mut out = BytesMut::new();
    let bytes =
        [frame(PING | FINAL, b"one"), frame(PONG | FINAL, b"?"), frame(PING | FINAL, b"two")].concat();
    websocket.receive(&bytes, &mut out).unwrap();
    assert!(out.is_empty());
    assert_eq!(controls(&mut websocket), [(PONG | FINAL, b"two".to_vec())]);
    assert!(!websocket.has_control());
}

#[test]
fn goodbyes() {
    for (payload, text, reply) in [
        (&b""[..], "no code", &b""[..]),
        (b"\x03\xe8", "1000", b"\x03\xe8"),
        (b"\x03\xf0too\r\nlarge", "1008: toolarge", b"\x03\xf0"),
    ] {
        let mut websocket = open();
        let ending = websocket.receive(&frame(CLOSE | FINAL, payload), &mut BytesMut::new()).unwrap_err();
        assert_eq!(ending, Ending::Closed(text.to_owned()));
        // Once, whoever began.
        websocket.close(false);
        assert_eq!(controls(&mut websocket), [(CLOSE | FINAL, reply.to_vec())]);
    }
    let mut websocket = open();
    websocket.close(false);
    websocket.receive(&frame(PING | FINAL, b""), &mut BytesMut::new()).unwrap();
    assert_eq!(controls(&mut websocket), [(CLOSE | FINAL, b"\x03\xe8".to_vec())]);
}

#[test]
fn what_follows_the_upgrade_at_once_is_read() {
    let (mut websocket, request) = WebSocket::new("hub", 443, PATH).unwrap();
    let bytes = [agreement(&request).as_bytes(), &frame(BINARY | FINAL, b"early")].concat();
    for at in 0..bytes.len() {
        let (mut one, request) = WebSocket::new("hub", 443, PATH).unwrap();
        let bytes = [agreement(&request).as_bytes(), &frame(BINARY | FINAL, b"early")].concat();
        let mut out = BytesMut::new();
        one.receive(&bytes[..at], &mut out).unwrap();
        one.receive(&bytes[at..], &mut out).unwrap();
        assert_eq!(out, b"early"[..], "cut at {at}");
    }
    let mut out = BytesMut::new();
    websocket.receive(&bytes, &mut out).unwrap();
    assert_eq!(out, b"early"[..]);
}

#[test]
fn a_batch_is_one_frame_of_any_length() {
    for length in [1, 125, 126, 127, 65_535, 65_536, 300_000] {
        let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let mut out = BytesMut::new();
        WebSocket::write_data(&mut out, |out| {
            payload.chunks(100).for_each(|part| out.extend_from_slice(part));
        })
        .unwrap();
        let frames = sent(&out);
        assert_eq!(frames.len(), 1);
        assert!(frames[0] == (BINARY | FINAL, payload), "{length}");
    }
}

#[test]
fn a_goodbye_follows_what_has_not_left_yet() {
    let mut websocket = open();
    let mut out = BytesMut::new();
    WebSocket::write_data(&mut out, |out| out.extend_from_slice(b"data")).unwrap();
    websocket.close(false);
    websocket.write_control(&mut out).unwrap();
    assert_eq!(sent(&out), [(BINARY | FINAL, b"data".to_vec()), (CLOSE | FINAL, b"\x03\xe8".to_vec())]);
}

/// Messages in parts of these lengths, a ping after the parts of even length.
fn stream(messages: &[Vec<usize>]) -> (Vec<u8>, Vec<u8>, Option<Vec<u8>>) {
    let (mut bytes, mut payload, mut ping) = (Vec::new(), Vec::new(), None);
    for parts in messages {
        for (i, length) in parts.iter().enumerate() {
            let part: Vec<u8> = (0..*length).map(|j| (i * 31 + j) as u8).collect();
            let kind = if i == 0 { BINARY } else { CONTINUATION };
            let last = if i + 1 == parts.len() { FINAL } else { 0 };
            bytes.extend(frame(kind | last, &part));
            payload.extend(part);
            if length % 2 == 0 {
                let text = vec![*length as u8; length % 126];
                bytes.extend(frame(PING | FINAL, &text));
                ping = Some(text);
            }
        }
    }
    (bytes, payload, ping)
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same_bytes(
        messages in prop::collection::vec(prop::collection::vec(0usize..300, 1..5), 1..6),
        large in prop::option::of(65_530usize..65_600),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut messages = messages;
        messages.extend(large.map(|length| vec![length]));
        let (bytes, payload, ping) = stream(&messages);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut websocket = open();
        let mut out = BytesMut::new();
        for pair in cuts.windows(2) {
            websocket.receive(&bytes[pair[0]..pair[1]], &mut out).unwrap();
        }
        prop_assert!(out == payload);
        let answers: Vec<_> = ping.into_iter().map(|text| (PONG | FINAL, text)).collect();
        prop_assert_eq!(controls(&mut websocket), answers);
    }

    #[test]
    fn no_bytes_make_it_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut websocket = open();
        for part in &parts {
            if websocket.receive(part, &mut BytesMut::new()).is_err() {
                break;
            }
        }
        let (mut websocket, _) = WebSocket::new("hub", 443, PATH).unwrap();
        for part in &parts {
            if websocket.receive(part, &mut BytesMut::new()).is_err() {
                break;
            }
        }
    }
}
