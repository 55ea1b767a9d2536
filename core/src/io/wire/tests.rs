#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use sha1::{Digest, Sha1};

use super::*;
use crate::io::tls::{TlsOptions, server_name};
use crate::mqtt::{Connect, Publish, QoS, Settings};

type Tag = u32;
const STALL: Duration = Duration::from_secs(5);
const CONNECTION_REFUSED: [u8; 4] = [0x20, 2, 0, 5];

fn session(now: Instant) -> Mutex<Session<Tag>> {
    let mut session = Session::new(Settings::default(), now);
    session.start(&Connect { client_id: "d".into(), ..Connect::default() }, now).unwrap();
    Mutex::new(session)
}

fn plain(carrier: Carrier) -> Wire {
    Wire::new(carrier, None, STALL, "peer:1".into()).unwrap()
}

/// The one that can be read from any thread while it is not known whether that ends.
fn in_time<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, answer) = mpsc::channel();
    thread::spawn(move || sender.send(f()));
    answer.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("it never ended"))
}

/// Carries bytes both ways until the handshake is over.
fn shake_hands(wire: &mut Wire, server: &mut ServerConnection, session: &Mutex<Session<Tag>>, now: Instant) {
    while !wire.is_secured() || server.is_handshaking() {
        wire.write(session, now).unwrap();
        let sent = wire.queues().unwrap().outgoing.split();
        server.read_tls(&mut &sent[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        wire.queues().unwrap().incoming.extend_from_slice(&answer);
        wire.read(session, now).unwrap();
    }
}

/// rustls takes no byte after the peer's goodbye; whoever waits for it to do so waits for ever.
#[test]
fn the_goodbye_of_tls_ends_the_connection_whatever_follows() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()).into();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let roots = TlsOptions { trusted_roots: Some(certified.cert.pem().into_bytes()), identity: None };
    let tls = (roots.client_config().unwrap(), server_name("localhost").unwrap());
    let fault = in_time(move || {
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        let mut wire =
            Wire::new(Carrier::Queues(Queues::default()), Some(tls), STALL, "peer:1".into()).unwrap();
        let now = Instant::now();
        let session = session(now);
        shake_hands(&mut wire, &mut server, &session, now);
        server.send_close_notify();
        let mut goodbye = Vec::new();
        server.write_tls(&mut goodbye).unwrap();
        wire.queues().unwrap().incoming.extend_from_slice(&goodbye);
        loop {
            if let Err(fault) = wire.read(&session, now) {
                break fault;
            }
            wire.queues().unwrap().incoming.extend_from_slice(b"more");
        }
    });
    assert_eq!(fault.cause, Cause::ClosedByHub, "{fault}");
}

/// The peer answered and left while there was more to write: the answer is the cause.
#[test]
fn a_failed_write_does_not_hide_what_the_peer_had_said() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut wire = plain(Carrier::Socket(Arc::new(ours.into())));
    let now = Instant::now();
    let session = session(now);
    theirs.write_all(&CONNECTION_REFUSED).unwrap();
    drop(theirs);
    let fault = wire.write(&session, now).unwrap_err();
    assert_eq!(fault.cause, Cause::Authentication, "{fault}");
    assert_eq!(wire.refused(), Some(5));
}

#[test]
fn a_failed_write_to_a_silent_peer_is_its_own_cause() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut wire = plain(Carrier::Socket(Arc::new(ours.into())));
    let now = Instant::now();
    drop(theirs);
    assert_eq!(wire.write(&session(now), now).unwrap_err().cause, Cause::ConnectionReset);
}

#[test]
fn debug_shows_no_password_and_no_payload() {
    let now = Instant::now();
    let mut session = Session::<Tag>::new(Settings::default(), now);
    let connect = Connect {
        client_id: "d".into(),
        username: Some("user".into()),
        password: Some("correct-horse".into()),
        ..Connect::default()
    };
    session.start(&connect, now).unwrap();
    let session = Mutex::new(session);
    let mut wire = plain(Carrier::Queues(Queues::default()));
    wire.write(&session, now).unwrap();
    wire.queues().unwrap().incoming.extend_from_slice(b"correct-horse");
    let queues = format!("{:?}", wire.queues());
    let shown = format!("{wire:?} {queues} {session:?}");
    assert!(!shown.contains("horse"), "{shown}");
}

/// A wire over queues whose WebSocket the peer has agreed to.
fn upgraded(session: &Mutex<Session<Tag>>, now: Instant) -> Wire {
    let mut wire = plain(Carrier::Queues(Queues::default()));
    wire.upgrade("localhost", 443, "/mqtt").unwrap();
    assert!(wire.want(session).write && !wire.is_open());
    assert!(!wire.write(session, now).unwrap());
    // MQTT waits for the answer.
    let request = String::from_utf8(wire.queues().unwrap().outgoing.split().to_vec()).unwrap();
    assert!(request.ends_with("\r\n\r\n") && !wire.want(session).write, "{request}");
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let hash = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let answer = format!(
        "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        STANDARD.encode(hash)
    );
    hear(&mut wire, answer.as_bytes());
    wire.read(session, now).unwrap();
    assert!(wire.is_open());
    wire
}

fn hear(wire: &mut Wire, bytes: &[u8]) {
    wire.queues().unwrap().incoming.extend_from_slice(bytes);
}

/// The first byte and the length of each frame of up to 65,535 bytes that was written.
fn frames(wire: &mut Wire) -> Vec<(u8, usize)> {
    let mut bytes = &wire.queues().unwrap().outgoing.split()[..];
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (head, length) = match second & 0x7f {
            126 => (4, u16::from_be_bytes([rest[0], rest[1]]).into()),
            length => (2, length.into()),
        };
        frames.push((*first, length));
        bytes = &bytes[head + 4 + length..];
    }
    frames
}

#[test]
fn a_batch_is_one_frame_and_an_idle_wire_keeps_no_buffer() {
    let now = Instant::now();
    let session = session(now);
    let mut wire = upgraded(&session, now);
    wire.write(&session, now).unwrap();
    assert_eq!(frames(&mut wire).len(), 1, "CONNECT");
    // A CONNACK in two frames, with a ping between them.
    hear(&mut wire, &[0x02, 2, 0x20, 2, 0x89, 0, 0x80, 2, 0, 0]);
    wire.read(&session, now).unwrap();
    assert!(wire.want(&session).write);
    for tag in 0..50 {
        let publish = Publish { topic: "t", payload: &[7; 100], qos: QoS::AtLeastOnce, retain: false };
        lock(&session).publish(&publish, None, tag).unwrap();
    }
    while wire.write(&session, now).unwrap() {}
    assert_eq!(frames(&mut wire), [(0x8a, 0), (0x82, 50 * 107)]);
    assert!(!wire.want(&session).write);
    wire.write(&session, now).unwrap();
    assert_eq!((wire.incoming.capacity(), wire.outgoing.capacity()), (0, 0));
    assert_eq!(wire.queues().unwrap().outgoing.len(), 0);
}

#[test]
fn what_came_before_the_goodbye_of_the_websocket_counts() {
    for (bytes, cause, part, code) in [
        (&[0x82, 4, 0x20, 2, 0, 5, 0x88, 0][..], Cause::Authentication, "(CONNACK 5)", None),
        (
            &[0x88, 2, 3, 0xf0],
            Cause::ClosedByHub,
            "before it answered CONNECT (the WebSocket's goodbye says 1008)",
            Some(2),
        ),
        (&[0x81, 1, b'x'], Cause::Protocol, "peer:1 sent a text frame", Some(2)),
    ] {
        let now = Instant::now();
        let session = session(now);
        let mut wire = upgraded(&session, now);
        hear(&mut wire, bytes);
        let fault = wire.read(&session, now).unwrap_err();
        assert_eq!(fault.cause, cause, "{fault}");
        assert!(fault.detail.contains(part), "{part:?} is not in {fault}");
        let goodbye: Vec<_> = frames(&mut wire);
        assert_eq!(goodbye, code.map(|length| (0x88, length)).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_peer_that_leaves_before_the_upgrade_is_named_so() {
    let now = Instant::now();
    let session = session(now);
    let mut wire = plain(Carrier::Queues(Queues::default()));
    wire.upgrade("localhost", 443, "/mqtt").unwrap();
    assert_eq!(wire.awaits(), "no answer to the WebSocket upgrade");
    wire.queues().unwrap().ended = true;
    let fault = wire.read(&session, now).unwrap_err();
    assert_eq!(fault.detail, "peer:1: closed by the peer before it answered the WebSocket upgrade");
}

#[test]
fn shutting_a_websocket_says_goodbye_once() {
    let now = Instant::now();
    let session = session(now);
    let mut wire = upgraded(&session, now);
    wire.shut();
    wire.shut();
    assert_eq!(frames(&mut wire), [(0x88, 2)]);
}
