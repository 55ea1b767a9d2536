#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::examination::Examination;
use super::report::Report;
use super::*;

/// What is found where a WebSocket would be on `port`.
fn examine(config: &Config, port: u16) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut tell = |finding: &Finding| findings.push(finding.clone());
    let mut report = Report::new(&mut tell);
    Examination::make(config, port, &mut report);
    report.end().unwrap_err();
    let order: Vec<Check> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(order, Check::ALL);
    findings
}

fn device(port: u16) -> Config {
    let mut config = Config::new();
    config.set_connection_string("HostName=localhost;DeviceId=d;SharedAccessKey=a2V5").unwrap();
    config.tuning.set_port(port).unwrap();
    config
}

/// A port on which every connection is ended at once.
fn ending() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().for_each(drop));
    port
}

/// A port on which nobody listens, and nobody can while the socket lives.
fn closed() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

#[test]
fn a_port_that_is_blocked_while_the_other_is_open() {
    let ((_held, blocked), open) = (closed(), ending());
    let findings = examine(&device(blocked), open);
    let [_, _, _, _, tcp, tls, websocket, credentials] = &findings[..] else { unreachable!() };
    assert_eq!(tcp.verdict, Verdict::Failed(ErrorKind::Network));
    let hint = format!("port {blocked} seems blocked, {open} is open: use the WebSocket transport");
    assert!(tcp.detail.contains(&hint), "{tcp:?}");
    assert_eq!((tls.verdict, credentials.verdict), (Verdict::NotDone, Verdict::NotDone));
    // It was tried, and there is no hub behind it.
    assert_eq!(websocket.verdict, Verdict::Failed(ErrorKind::Network));
    assert!(websocket.detail.contains("was tried because the other failed"), "{websocket:?}");

    let (_other, port) = closed();
    let findings = examine(&device(blocked), port);
    assert!(findings[4].detail.contains("fails, too"), "{:?}", findings[4]);
    assert_eq!(findings[6].verdict, Verdict::NotDone);
}

/// A firewall that lets TCP pass and nothing in it.
#[test]
fn a_port_that_ends_tls_while_the_other_is_open() {
    let open = ending();
    let findings = examine(&device(ending()), open);
    assert_eq!(findings[4].verdict, Verdict::Passed);
    assert_eq!(findings[5].verdict, Verdict::Failed(ErrorKind::Network));
    assert!(findings[5].detail.contains(&format!("port {open} is open")), "{:?}", findings[5]);
    assert_eq!(findings[6].verdict, Verdict::Failed(ErrorKind::Network));
}

/// The other port is that of the WebSocket itself: there is none to recommend.
#[test]
fn no_other_way_from_a_websocket() {
    let (_held, port) = closed();
    let mut config = device(port);
    config.tuning.set_transport(crate::Transport::WebSocket);
    let findings = examine(&config, ending());
    assert!(findings[4].detail.contains("a firewall may block it"), "{:?}", findings[4]);
    assert_eq!(findings[6].verdict, Verdict::NotDone);
}

/// A step takes the connect timeout at most, whatever the server does.
#[test]
fn a_server_that_trickles_ends_by_the_timeout() {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = device(listener.local_addr().unwrap().port());
    config.tuning.set_connect_timeout(Duration::from_millis(100)).unwrap();
    let (done, ended) = mpsc::channel();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // The head of a record that never becomes whole.
        let _ = client.write_all(&[0x16, 0x03, 0x03, 0x3f, 0xff]);
        while client.write_all(&[0]).is_ok() && ended.recv_timeout(Duration::from_millis(1)).is_err() {}
    });
    let (_held, other) = closed();
    let findings = examine(&config, other);
    done.send(()).unwrap_or_default();
    server.join().unwrap();
    assert_eq!(findings[5].verdict, Verdict::Failed(ErrorKind::Network));
    assert!(findings[5].detail.contains("within 100ms"), "{:?}", findings[5]);
}
