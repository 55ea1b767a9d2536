//! Against proxies on loopback that say only what the test says.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::io::cause::{Cause, Fault};
use crate::io::dial::{Dial, Step};
use crate::io::interest::Interest;
use crate::io::proxy::Proxy;
use crate::io::via::Via;

const LIMIT: Duration = Duration::from_secs(30);

fn via(url: &str) -> Via {
    Via { proxy: Some(Proxy::parse(url).unwrap()), ..Via::default() }
}

/// A proxy that takes one request and then does what `act` says; its port. The thread ends with the
/// request.
fn proxy(act: impl FnOnce(&mut TcpStream) + Send + 'static) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let running = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        while lines.read_line(&mut request).unwrap() > 2 {}
        act(&mut stream);
        request
    });
    (port, running)
}

/// What a host with poll does.
fn drive(dial: &mut Dial) -> Result<Arc<OwnedFd>, Fault> {
    loop {
        match dial.step(Instant::now()) {
            Step::Connected(socket) => return Ok(socket),
            Step::Failed(fault) => return Err(fault),
            Step::Wait => {}
        }
        let left = dial.deadline().unwrap().saturating_duration_since(Instant::now());
        let (socket, interest) = dial.want().unwrap();
        let flags = if interest == Interest::WRITE { PollFlags::OUT } else { PollFlags::IN };
        let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        poll(&mut [PollFd::new(socket, flags)], Some(&limit)).unwrap();
    }
}

fn reach(url: &str) -> Result<Arc<OwnedFd>, Fault> {
    let wake = Arc::new(|| panic!("nothing to wake for"));
    drive(&mut Dial::start("hub.example", 8883, &via(url), LIMIT, Instant::now(), wake))
}

#[test]
fn the_bytes_after_the_answer_are_the_peers() {
    let (port, running) = proxy(|stream| {
        stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\nhello").unwrap();
        let mut word = [0; 5];
        stream.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"world");
    });
    let socket = reach(&format!("http://me:p%40ss@127.0.0.1:{port}")).unwrap();
    let mut stream = TcpStream::from(Arc::into_inner(socket).unwrap());
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut word = [0; 5];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"hello");
    stream.write_all(b"world").unwrap();
    let request = running.join().unwrap();
    assert_eq!(
        request,
        "CONNECT hub.example:8883 HTTP/1.1\r\nHost: hub.example:8883\r\n\
         Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"
    );
}

#[test]
fn an_answer_in_single_bytes() {
    let (port, running) = proxy(|stream| {
        stream.set_nodelay(true).unwrap();
        for byte in b"HTTP/1.0 200 OK\r\n\r\n!" {
            stream.write_all(&[*byte]).unwrap();
            thread::yield_now();
        }
    });
    let socket = reach(&format!("http://127.0.0.1:{port}")).unwrap();
    let mut stream = TcpStream::from(Arc::into_inner(socket).unwrap());
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "!");
    assert!(!running.join().unwrap().contains("Authorization"));
}

#[test]
fn each_refusal_has_its_text() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(17 * 1024));
    for (answer, user, part) in [
        (
            "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
            "",
            "asks for a user name and a password",
        ),
        (
            "HTTP/1.1 407 X\r\nproxy-authenticate: basic\r\n\r\n",
            "me:secret@",
            "does not take the user name and",
        ),
        (
            "HTTP/1.1 407 X\r\nProxy-Authenticate: NTLM\r\n\r\n",
            "me:secret@",
            "by NTLM; only Basic is offered",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            "",
            "does not allow connections to hub.example:8883 (it answered 403 F",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "",
            "cannot reach hub.example:8883 (it answered 502 Bad Gateway)",
        ),
        (
            "HTTP/1.1 405 Method Not Allowed\r\n\r\n",
            "",
            "refuses to connect to hub.example:8883 (it answered 405",
        ),
        ("HTTP/1.1 302 Found\r\nLocation: http://x\r\n\r\n", "", "(it answered 302 Found)"),
        ("220 smtp.example ESMTP\r\n", "", "sent something that is no HTTP answer"),
        (&long, "", "longer than 16 KiB"),
        ("", "", "closed the connection before it answered CONNECT"),
        ("HTTP/1.1 200 OK\r\n", "", "closed the connection before it answered CONNECT"),
    ] {
        let bytes = answer.as_bytes().to_vec();
        let (port, running) = proxy(move |stream| {
            // The client may leave in the middle of it.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut [0]);
        });
        let fault = reach(&format!("http://{user}127.0.0.1:{port}")).unwrap_err();
        assert_eq!(fault.cause, Cause::Proxy, "{fault}");
        assert!(fault.detail.starts_with(&format!("proxy 127.0.0.1:{port} ")), "{fault}");
        assert!(fault.detail.contains(part), "{part:?} is not in {fault}");
        assert!(!fault.detail.contains("secret") && !fault.detail.contains("bWU6"), "{fault}");
        running.join().unwrap();
    }
}

#[test]
fn a_reset_is_the_proxys_fault() {
    let (port, running) = proxy(|stream| {
        rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
    });
    let fault = reach(&format!("http://127.0.0.1:{port}")).unwrap_err();
    assert_eq!(fault.cause, Cause::Proxy);
    assert!(fault.detail.contains("broke the connection before it answered CONNECT"), "{fault}");
    running.join().unwrap();
}

#[test]
fn a_silent_proxy_is_left_at_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let start = Instant::now();
    let wake = Arc::new(|| panic!("nothing to wake for"));
    let mut dial = Dial::start("hub.example", 8883, &via(&url), LIMIT, start, wake);
    while dial.want().is_none_or(|(_, interest)| interest == Interest::WRITE) {
        assert!(matches!(dial.step(start), Step::Wait));
        if let Some((socket, _)) = dial.want() {
            poll(&mut [PollFd::new(socket, PollFlags::OUT)], None).unwrap();
        }
    }
    assert_eq!(dial.deadline(), Some(start + LIMIT));
    assert!(!format!("{dial:?}").contains("CONNECT"));
    let Step::Failed(fault) = dial.step(start + LIMIT) else { panic!("still waiting") };
    assert_eq!(fault.cause, Cause::Proxy);
    assert!(fault.detail.ends_with("did not answer CONNECT within 30.0 s"), "{fault}");
}

/// What is wrong then is the way to the proxy; the text says so.
#[test]
fn a_proxy_that_cannot_be_reached() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fault = reach(&format!("http://me:secret@{address}")).unwrap_err();
    assert_eq!(fault.cause, Cause::ConnectionRefused);
    assert!(fault.detail.starts_with(&format!("proxy {address}: cannot connect: ")), "{fault}");
    let (sender, woken) = std::sync::mpsc::channel();
    let wake = Arc::new(move || sender.send(()).unwrap());
    let via = via("http://no-such-proxy.invalid:3128");
    let mut dial = Dial::start("hub.example", 8883, &via, LIMIT, Instant::now(), wake);
    woken.recv().unwrap();
    let Step::Failed(fault) = dial.step(Instant::now()) else { panic!("it has an address") };
    assert_eq!(fault.cause, Cause::Dns);
    assert!(fault.detail.starts_with("proxy no-such-proxy.invalid:3128: the name lookup failed"), "{fault}");
}

/// The name is the proxy's to resolve.
#[test]
fn version_6_targets_are_in_brackets() {
    let (port, running) = proxy(|stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap());
    let wake = Arc::new(|| panic!("nothing to wake for"));
    let via = via(&format!("http://127.0.0.1:{port}"));
    drive(&mut Dial::start("[2001:db8::7]", 443, &via, LIMIT, Instant::now(), wake)).unwrap();
    assert!(
        running
            .join()
            .unwrap()
            .starts_with("CONNECT [2001:db8::7]:443 HTTP/1.1\r\nHost: [2001:db8::7]:443\r\n")
    );
}
