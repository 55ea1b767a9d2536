#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};

use super::*;
use crate::io::tls::{TlsOptions, server_name};
use crate::mqtt::{Connect, Settings};

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
