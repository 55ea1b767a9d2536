use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_getfd};
use rustix::net::{self, AddressFamily, SocketType};

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

fn never() -> Wake {
    Arc::new(|| panic!("nothing to wake for"))
}

fn waker() -> (Wake, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    (Arc::new(move || sender.send(()).unwrap()), receiver)
}

fn to_addresses(addresses: &[SocketAddr], now: Instant) -> Dial {
    let rest = addresses.iter().copied().collect();
    Dial::new("hub.test", 8883, LIMIT, now, State::Connecting { rest, pending: None })
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port that is bound, so that nobody else gets it, but does not listen.
fn stream(socket: Arc<OwnedFd>) -> TcpStream {
    TcpStream::from(Arc::into_inner(socket).unwrap())
}

fn refusing() -> (OwnedFd, SocketAddr) {
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = net::getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

/// A listener whose queue is full: the kernel drops what comes, as a black hole does.
fn swallowing() -> (Vec<OwnedFd>, SocketAddr) {
    let (socket, address) = refusing();
    net::listen(&socket, 0).unwrap();
    let mut held = vec![socket];
    held.extend((0..4).map(|_| connect(address, &Bind::default()).unwrap()));
    (held, address)
}

/// What a host with poll does.
fn drive(dial: &mut Dial, woken: Option<&mpsc::Receiver<()>>) -> Result<TcpStream, Fault> {
    loop {
        match dial.step(Instant::now()) {
            Step::Connected(socket) => return Ok(stream(socket)),
            Step::Failed(fault) => return Err(fault),
            Step::Wait => {}
        }
        let left = dial.deadline().unwrap().saturating_duration_since(Instant::now());
        match dial.want() {
            Some((socket, interest)) => {
                let flags = if interest == Interest::WRITE { PollFlags::OUT } else { PollFlags::IN };
                let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
                poll(&mut [PollFd::new(&socket, flags)], Some(&limit)).unwrap();
            }
            None => woken.unwrap().recv_timeout(left).unwrap_or_default(),
        }
    }
}

fn assert_carries(mut stream: TcpStream, listener: &TcpListener) {
    let (mut accepted, _) = listener.accept().unwrap();
    stream.write_all(b"hello").unwrap();
    let mut read = [0; 5];
    accepted.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"hello");
}

#[test]
fn an_address_needs_no_lookup() {
    let (listener, address) = listener();
    let mut dial = Dial::start("127.0.0.1", address.port(), &Via::default(), LIMIT, Instant::now(), never());
    let stream = drive(&mut dial, None).unwrap();
    assert!(stream.nodelay().unwrap());
    assert!(fcntl_getfd(&stream).unwrap().contains(FdFlags::CLOEXEC));
    let would_block = (&stream).read(&mut [0; 1]).unwrap_err();
    assert_eq!(would_block.kind(), std::io::ErrorKind::WouldBlock);
    assert_carries(stream, &listener);
    assert!(dial.want().is_none() && dial.deadline().is_none());
    assert!(matches!(dial.step(Instant::now()), Step::Failed(_)));
}

#[test]
fn version_6_in_brackets() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return; // This machine has no IPv6.
    };
    let port = listener.local_addr().unwrap().port();
    for host in ["[::1]", "::1"] {
        let mut dial = Dial::start(host, port, &Via::default(), LIMIT, Instant::now(), never());
        assert_carries(drive(&mut dial, None).unwrap(), &listener);
    }
}

#[test]
fn a_name_is_looked_up() {
    let (listener, address) = listener();
    let (wake, woken) = waker();
    let mut dial = Dial::start("localhost", address.port(), &Via::default(), LIMIT, Instant::now(), wake);
    assert_carries(drive(&mut dial, Some(&woken)).unwrap(), &listener);
}

#[test]
fn a_name_without_address() {
    let (wake, woken) = waker();
    let limit = Duration::from_secs(5);
    let mut dial = Dial::start("no-such-hub.invalid", 8883, &Via::default(), limit, Instant::now(), wake);
    let fault = drive(&mut dial, Some(&woken)).unwrap_err();
    assert_eq!(fault.cause, Cause::Dns);
    assert!(fault.detail.starts_with("no-such-hub.invalid:8883: the name lookup failed: "), "{fault}");
}

#[test]
fn a_lookup_that_hangs_is_left_at_the_deadline() {
    let (release, released) = mpsc::channel::<()>();
    let (wake, _woken) = waker();
    let state = State::lookup("hangs.test", wake, move |_| {
        released.recv().unwrap_or_default();
        Ok(Vec::new())
    });
    let start = Instant::now();
    let mut dial = Dial::new("hangs.test", 8883, LIMIT, start, state);
    assert!(matches!(dial.step(start), Step::Wait));
    assert!(dial.want().is_none());
    assert_eq!(dial.deadline(), Some(start + LIMIT));
    assert!(matches!(dial.step(start + LIMIT - Duration::from_nanos(1)), Step::Wait));
    let Step::Failed(fault) = dial.step(start + LIMIT) else { panic!("still waiting") };
    assert_eq!(fault.cause, Cause::Dns);
    assert!(fault.detail.contains("no answer in 30.0 s"), "{fault}");
    drop(release);
}

#[test]
fn a_lookup_that_takes_all_the_time() {
    let (wake, woken) = waker();
    let state = State::lookup("late.test", wake, |_| Ok(vec![Ipv4Addr::LOCALHOST.into()]));
    let start = Instant::now();
    let mut dial = Dial::new("late.test", 8883, LIMIT, start, state);
    woken.recv().unwrap();
    let Step::Failed(fault) = dial.step(start + LIMIT) else { panic!("still waiting") };
    assert_eq!(fault.cause, Cause::ConnectTimeout);
    assert!(fault.detail.contains("name lookup"), "{fault}");
}

#[test]
fn a_refusing_port() {
    let (_held, address) = refusing();
    let mut dial = Dial::start("127.0.0.1", address.port(), &Via::default(), LIMIT, Instant::now(), never());
    let fault = drive(&mut dial, None).unwrap_err();
    assert_eq!(fault.cause, Cause::ConnectionRefused);
    let twice = format!("{address}: cannot connect: {address}: ");
    assert!(fault.detail.starts_with(&twice), "{fault}");
}

#[test]
fn the_second_address_is_tried_when_the_first_refuses() {
    let (_held, refusing) = refusing();
    let (listener, address) = listener();
    let mut dial = to_addresses(&[refusing, address], Instant::now());
    assert_carries(drive(&mut dial, None).unwrap(), &listener);
    assert_eq!(dial.attempt, 2);
}

#[test]
fn an_address_that_swallows_leaves_time_for_the_next() {
    let (_held, swallowing) = swallowing();
    let (listener, address) = listener();
    let start = Instant::now();
    let mut dial = to_addresses(&[swallowing, address], start);
    assert!(matches!(dial.step(start), Step::Wait));
    assert_eq!(dial.deadline(), Some(start + LIMIT / 2));
    assert!(matches!(dial.step(start + LIMIT / 2 - Duration::from_nanos(1)), Step::Wait));
    assert_eq!(dial.attempt, 1);
    // The second gets all that is left.
    assert!(matches!(dial.step(start + LIMIT / 2), Step::Wait));
    assert_eq!(dial.attempt, 2);
    assert_eq!(dial.deadline(), Some(start + LIMIT));
    assert_carries(drive(&mut dial, None).unwrap(), &listener);
}

#[test]
fn nobody_answers_in_time() {
    let (_held, swallowing) = swallowing();
    let (_refusing, refusing) = refusing();
    let start = Instant::now();
    let mut dial = to_addresses(&[refusing, swallowing], start);
    let mut now = start;
    let fault = loop {
        match dial.step(now) {
            Step::Wait => now = dial.deadline().unwrap(),
            Step::Failed(fault) => break fault,
            Step::Connected(_) => panic!("connected to a full queue"),
        }
    };
    assert_eq!(fault.cause, Cause::ConnectTimeout);
    for part in [
        "hub.test:8883: cannot connect: ",
        &format!("{refusing}: Connection refused"),
        &format!("{swallowing}: no answer in 15.0 s"),
    ] {
        assert!(fault.detail.contains(part), "{part:?} is not in {fault}");
    }
}

#[test]
fn no_route_does_not_hide_the_reason() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let mut dial = to_addresses(&[], Instant::now());
    dial.tried = vec![refusal(address, Errno::CONNREFUSED), refusal(address, Errno::NETUNREACH)];
    assert_eq!(dial.summary().cause, Cause::ConnectionRefused);
    dial.tried = vec![refusal(address, Errno::AFNOSUPPORT), refusal(address, Errno::NETUNREACH)];
    assert_eq!(dial.summary().cause, Cause::Unreachable);
}

#[test]
fn a_socket_connected_to_itself_is_no_peer() {
    let (socket, address) = refusing();
    // On one socket TCP's simultaneous open connects it to itself, at once on loopback.
    net::connect(&socket, &address).unwrap();
    assert_eq!(is_connected(&socket), Err(Errno::CONNREFUSED));
}

#[test]
fn a_limit_beyond_reason_does_not_panic() {
    let (_held, address) = swallowing();
    let mut dial =
        Dial::start("127.0.0.1", address.port(), &Via::default(), Duration::MAX, Instant::now(), never());
    assert!(matches!(dial.step(Instant::now()), Step::Wait));
}

#[test]
fn tokio_drives_it_too() {
    let (listener, address) = listener();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let ready = Arc::new(tokio::sync::Notify::new());
        let notify = ready.clone();
        let state = State::lookup("tokio.test", Arc::new(move || notify.notify_one()), |_| {
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        });
        let mut dial = Dial::new("tokio.test", address.port(), LIMIT, Instant::now(), state);
        loop {
            match dial.step(Instant::now()) {
                Step::Connected(socket) => return stream(socket),
                Step::Failed(fault) => panic!("{fault}"),
                Step::Wait => {}
            }
            let deadline = tokio::time::Instant::from_std(dial.deadline().unwrap());
            // tokio owns what it waits for, so it gets a second descriptor of the same socket.
            let socket = dial.want().map(|(socket, _)| {
                let socket = TcpStream::from(socket.try_clone().unwrap());
                tokio::net::TcpStream::from_std(socket).unwrap()
            });
            let writable = async {
                match &socket {
                    Some(socket) => socket.writable().await.unwrap(),
                    None => ready.notified().await,
                }
            };
            tokio::time::timeout_at(deadline, writable).await.ok();
        }
    });
    assert_carries(stream, &listener);
}

#[test]
fn addresses_of_the_other_family_are_skipped_with_a_reason() {
    let (listener, address) = listener();
    let six = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()));
    let bind = Bind { address: Some(Ipv4Addr::new(127, 0, 0, 5).into()), ..Bind::default() };
    let mut dial = to_addresses(&[six, address], Instant::now());
    dial.bind = bind.clone();
    assert_carries(drive(&mut dial, None).unwrap(), &listener);
    let mut dial = to_addresses(&[six], Instant::now());
    dial.bind = bind;
    let fault = drive(&mut dial, None).unwrap_err();
    assert_eq!(fault.cause, Cause::Unreachable);
    assert!(
        fault.detail.contains("not tried, the local address 127.0.0.5 is of the other family"),
        "{fault}"
    );
}

#[test]
fn the_peer_sees_the_local_address() {
    let (listener, address) = listener();
    let bind = Bind { address: Some(Ipv4Addr::new(127, 0, 0, 5).into()), ..Bind::default() };
    let via = Via { bind, ..Via::default() };
    let mut dial = Dial::start("127.0.0.1", address.port(), &via, LIMIT, Instant::now(), never());
    drive(&mut dial, None).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), Ipv4Addr::new(127, 0, 0, 5));
}
