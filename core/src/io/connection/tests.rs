#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;
use crate::error::{ErrorKind, Result};
use crate::io::received::{Handler, Route};
use crate::mqtt::{Connect, Publish, QoS, Session, Settings};

pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// The keep-alive and the ping timeout of the rig.
const SILENCE: Duration = Duration::from_secs(60 + 30);
pub(super) const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// A connection under a clock of its own, to a server that says only what the test says.
pub(super) struct Rig {
    pub(super) connection: Connection,
    shared: Arc<Shared>,
    listener: TcpListener,
    pub(super) now: Instant,
}

impl Rig {
    pub(super) fn new(renew_after: Option<Duration>) -> Self {
        Self::connecting(renew_after, Completion::ignored())
    }

    fn connecting(renew_after: Option<Duration>, done: Completion) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let now = Instant::now();
        let shared = Shared::new(Session::new(Settings::default(), now), None, false);
        let endpoint = Endpoint {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: listener.local_addr().unwrap().port(),
            via: Via::default(),
            tls: None,
            websocket: None,
            connect_timeout: LIMIT,
            stall_timeout: LIMIT,
            signing: None,
            unacknowledged_timeout: SILENCE,
            backoff: Backoff::default(),
        };
        let greet = move || {
            let connect = Connect { client_id: "d".into(), keep_alive: 60, ..Connect::default() };
            Ok(Greeting { connect, renew_after, doubt: None, tls: None })
        };
        let connection = Connection::new(endpoint, Greet::Now(Box::new(greet)), Arc::clone(&shared));
        shared.connect(done).unwrap();
        Self { connection, shared, listener, now }
    }

    pub(super) fn turn(&mut self) {
        while self.connection.turn(true, self.now) {}
        self.shared.strand.run_unless_pooled();
    }

    /// Turns until the socket is connected and CONNECT has left; then the server has read it.
    pub(super) fn greeted(&mut self) -> TcpStream {
        let mut server = self.accepted();
        assert_eq!(packet(&mut server)[0], 0x10);
        server
    }

    /// Turns until the socket is connected and what comes first has left.
    fn accepted(&mut self) -> TcpStream {
        while !matches!(self.connection.phase, Phase::Open(_)) {
            assert!(!self.connection.has_ended());
            if let Phase::Waiting(until) = self.connection.phase {
                self.now = self.now.max(until);
            }
            self.turn();
            if let Some((socket, _)) = self.connection.socket() {
                let mut fds = [PollFd::new(socket, PollFlags::OUT)];
                poll(&mut fds, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap();
            }
        }
        self.turn();
        let (server, _) = self.listener.accept().unwrap();
        server.set_read_timeout(Some(LIMIT)).unwrap();
        server
    }

    /// Turns once what the server has sent is there.
    pub(super) fn says(&mut self, server: &mut TcpStream, bytes: &[u8]) {
        server.write_all(bytes).unwrap();
        let (socket, _) = self.connection.socket().unwrap();
        let mut fds = [PollFd::new(socket, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap(), 1);
        self.turn();
    }

    pub(super) fn publish(&self) -> Receiver<Result<Answer>> {
        let (sender, answer) = mpsc::channel();
        let done = Completion::new(move |result| sender.send(result).unwrap_or_default());
        let publish = Publish { topic: "t", payload: b"p", qos: QoS::AtLeastOnce, retain: false };
        self.shared.operate(done, false, |session, done| session.publish(&publish, None, done)).unwrap();
        answer
    }

    pub(super) fn close(&self, timeout: Duration) -> Receiver<Result<Answer>> {
        let (sender, answer) = mpsc::channel();
        self.shared
            .close(timeout, Completion::new(move |result| sender.send(result).unwrap_or_default()))
            .unwrap();
        answer
    }
}

/// The next packet; all here are shorter than 128 bytes.
pub(super) fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut rest = vec![0; head[1].into()];
    stream.read_exact(&mut rest).unwrap();
    [&head[..], &rest].concat()
}

#[test]
fn credentials_that_have_served_before_the_answer_came_wake_nobody() {
    let mut rig = Rig::new(Some(Duration::from_secs(8)));
    let mut server = rig.greeted();
    rig.now += Duration::from_secs(9);
    rig.turn();
    assert!(rig.connection.deadline().unwrap() > rig.now, "the deadline has passed and nothing comes of it");
    rig.says(&mut server, &CONNACK);
    rig.turn();
    assert_eq!(packet(&mut server), [0xe0, 0], "no renewal");
}

/// DISCONNECT has left for fresh credentials when the application says goodbye.
#[test]
fn closing_during_a_renewal_still_sends_what_is_queued() {
    let mut rig = Rig::new(Some(Duration::from_secs(8)));
    let mut server = rig.greeted();
    rig.says(&mut server, &CONNACK);
    rig.now += Duration::from_secs(9);
    rig.turn();
    rig.turn();
    assert_eq!(packet(&mut server), [0xe0, 0]);
    let sent = rig.publish();
    let closed = rig.close(LIMIT);
    rig.turn();
    rig.now += Duration::from_secs(2);
    rig.turn();
    let mut server = rig.greeted();
    rig.says(&mut server, &CONNACK);
    let publish = packet(&mut server);
    assert_eq!(publish[0], 0x32);
    rig.says(&mut server, &[0x40, 2, publish[5], publish[6]]);
    rig.turn();
    assert_eq!(packet(&mut server), [0xe0, 0]);
    sent.recv().unwrap().unwrap();
    drop(server);
    rig.now += Duration::from_secs(2);
    rig.turn();
    closed.recv().unwrap().unwrap();
}

#[test]
fn closing_before_the_answer_with_nothing_to_send_does_not_wait_for_it() {
    let mut rig = Rig::new(None);
    let mut server = rig.greeted();
    let closed = rig.close(LIMIT);
    rig.turn();
    assert_eq!(packet(&mut server), [0xe0, 0]);
    // The server has a moment to close first.
    rig.now += Duration::from_secs(1);
    rig.turn();
    closed.try_recv().unwrap().unwrap();
}

#[test]
fn closing_with_a_peer_that_is_silent_ends_in_time_and_says_what_was_left() {
    let mut rig = Rig::new(None);
    let mut server = rig.greeted();
    rig.says(&mut server, &CONNACK);
    let sent = rig.publish();
    rig.turn();
    let closed = rig.close(Duration::from_secs(3));
    rig.turn();
    assert!(closed.try_recv().is_err());
    assert!(rig.connection.deadline().unwrap() <= rig.now + Duration::from_secs(4));
    rig.now += Duration::from_secs(5);
    rig.turn();
    assert_eq!(sent.try_recv().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(closed.try_recv().unwrap().unwrap_err().kind(), ErrorKind::Timeout);
}

/// Whatever has passed is done by the turn that follows, in each phase with a server that says nothing.
#[test]
fn no_deadline_survives_the_turn_that_it_calls_for() {
    let mut rig = Rig::new(Some(Duration::from_secs(100)));
    let mut server = Some(rig.greeted());
    for step in 0..200 {
        if step == 20 {
            rig.publish();
        }
        if let Some(deadline) = rig.connection.deadline() {
            rig.now = rig.now.max(deadline);
        }
        rig.turn();
        rig.turn();
        if let Some(deadline) = rig.connection.deadline() {
            assert!(deadline > rig.now, "step {step}");
        }
        if matches!(rig.connection.phase, Phase::Dialing(..)) {
            drop(server.take());
            let mut next = rig.greeted();
            if step % 2 == 0 {
                rig.says(&mut next, &CONNACK);
            }
            server = Some(next);
        }
    }
    assert_eq!(rig.shared.queued().0, 1);
}

#[test]
fn a_renewal_with_a_server_that_acknowledges_nothing_ends_in_time_and_sends_again() {
    let mut rig = Rig::new(Some(Duration::from_secs(8)));
    let mut server = rig.greeted();
    rig.says(&mut server, &CONNACK);
    let sent = rig.publish();
    rig.turn();
    assert_eq!(packet(&mut server)[0], 0x32);
    rig.now += Duration::from_secs(9);
    rig.turn();
    let queued = rig.publish();
    while rig.connection.deadline().unwrap() < rig.now + LIMIT
        && matches!(rig.connection.phase, Phase::Open(_))
    {
        rig.now = rig.now.max(rig.connection.deadline().unwrap());
        rig.turn();
        rig.turn();
    }
    assert_eq!(packet(&mut server), [0xe0, 0], "the message that was not in flight must wait");
    let mut server = rig.greeted();
    // The session is kept: the first is a retransmission, the second is not.
    rig.says(&mut server, &[0x20, 2, 1, 0]);
    for (head, done) in [(0x3a, sent), (0x32, queued)] {
        let publish = packet(&mut server);
        assert_eq!(publish[0], head);
        rig.says(&mut server, &[0x40, 2, publish[5], publish[6]]);
        done.try_recv().unwrap().unwrap();
    }
}

/// `connect` is told of the first refusal by the server, also of one that time may cure; the trying goes on.
#[test]
fn each_refusal_of_the_server_completes_connect() {
    for code in 1..=6 {
        let (sender, answer) = mpsc::channel();
        let done = Completion::new(move |result| sender.send(result).unwrap_or_default());
        let mut rig = Rig::connecting(None, done);
        let mut server = rig.greeted();
        rig.says(&mut server, &[0x20, 2, 0, code]);
        assert!(answer.try_recv().unwrap_or_else(|_| panic!("CONNACK {code}")).is_err());
        let mut server = rig.greeted();
        rig.says(&mut server, &CONNACK);
    }
}

/// The next fault, by the deadlines alone.
fn next_fault(rig: &mut Rig, changes: &Receiver<Status>) -> Status {
    loop {
        if let Some(status) = changes.try_iter().find(|status| status.cause.is_some()) {
            return status;
        }
        rig.now = rig.now.max(rig.connection.deadline().unwrap());
        rig.turn();
    }
}

/// Whatever waits to go, a peer that is silent is found within keep-alive and ping timeout.
#[test]
fn a_half_open_connection_is_found_in_time() {
    for flood in [false, true] {
        let mut rig = Rig::new(None);
        let (sender, changes) = mpsc::channel();
        let handler = move |status: &Status| sender.send(status.clone()).unwrap_or_default();
        rig.shared.set_handler(Route::Status, Some(Handler::Status(Box::new(handler))));
        let mut server = rig.greeted();
        rig.says(&mut server, &CONNACK);
        let (socket, _) = rig.connection.socket().unwrap();
        let limit = rustix::net::sockopt::tcp_user_timeout(socket).unwrap();
        assert_eq!(u128::from(limit), SILENCE.as_millis());
        let _ = changes.try_iter().count();
        let silent_since = rig.now;
        if flood {
            // Until the socket takes no more.
            let payload = vec![0; 200_000];
            let publish = Publish { topic: "t", payload: &payload, qos: QoS::AtLeastOnce, retain: false };
            while !rig.connection.blocked().write {
                rig.shared
                    .operate(Completion::ignored(), false, |session, done| {
                        session.publish(&publish, None, done)
                    })
                    .unwrap();
                rig.turn();
            }
        }
        let status = next_fault(&mut rig, &changes);
        assert_eq!(status.cause, Some(Cause::KeepAlive), "{status:?}");
        assert!(rig.now <= silent_since + SILENCE, "after {:?}", rig.now - silent_since);
    }
}

/// A server that reads the request and says nothing, or half of an answer.
#[test]
fn an_upgrade_that_is_not_answered_ends_at_the_connect_timeout() {
    for answer in ["", "HTTP/1.1 101 Switching"] {
        let mut rig = Rig::new(None);
        rig.connection.endpoint.websocket = Some("/mqtt".into());
        let (sender, changes) = mpsc::channel();
        let handler = move |status: &Status| sender.send(status.clone()).unwrap_or_default();
        rig.shared.set_handler(Route::Status, Some(Handler::Status(Box::new(handler))));
        let mut server = rig.accepted();
        let mut request = [0; 4];
        server.read_exact(&mut request).unwrap();
        assert_eq!(&request, b"GET ");
        if !answer.is_empty() {
            rig.says(&mut server, answer.as_bytes());
        }
        let since = rig.now;
        let status = next_fault(&mut rig, &changes);
        assert_eq!(status.cause, Some(Cause::ConnectTimeout), "{status:?}");
        assert!(status.detail.ends_with("no answer to the WebSocket upgrade within 30s"), "{status:?}");
        assert!(rig.now <= since + LIMIT);
    }
}

/// Nothing was said that calls for a goodbye.
#[test]
fn closing_before_the_upgrade_is_answered_waits_for_nobody() {
    let mut rig = Rig::new(None);
    rig.connection.endpoint.websocket = Some("/mqtt".into());
    let _server = rig.accepted();
    let closed = rig.close(LIMIT);
    rig.turn();
    closed.try_recv().unwrap().unwrap();
}
