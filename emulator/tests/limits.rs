//! Peers that begin something and do not go on: the hub closes on each of them in time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use iothub_emulator::{Hub, Options};
use rumqttc::mqttbytes::v4::Packet;
use support::websocket::{PATH, upgrade};
use support::*;

/// Short, because each test waits for it; and long enough that a busy machine does not miss it.
const DEADLINE: Duration = Duration::from_millis(400);

fn start_hurried() -> (Hub, Events) {
    let mut options = Options::default().device("d").device("e");
    options.settings.connect_deadline = DEADLINE;
    start(options)
}

/// Reads until the hub has closed.
fn expect_end(what: &str, stream: &mut impl Read) {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("{what}: it is still open")
            }
            Err(_) => return,
        }
    }
}

fn plain(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The start of a TLS handshake.
const HALF_HELLO: [u8; 9] = [0x16, 3, 1, 0, 200, 1, 0, 0, 196];

#[test]
fn whoever_does_not_go_on_is_cut() {
    let (hub, _events) = start_hurried();
    let mut well = Client::connect(&hub, "d");
    let mut connect = BytesMut::new();
    Packet::Connect(connect_packet(&hub, "e")).write(&mut connect, usize::MAX).unwrap();

    for (port, address) in [("mqtt", hub.mqtt_address()), ("https", hub.https_address())] {
        for (what, bytes) in [("nothing", &[][..]), ("half a ClientHello", &HALF_HELLO)] {
            let mut socket = plain(address);
            socket.write_all(bytes).unwrap();
            expect_end(&format!("{port}: {what}"), &mut socket);
        }
    }
    for end in [0, 1, 2, connect.len() - 1] {
        let mut stream = secure(&hub, hub.mqtt_address(), Tls::default());
        stream.write_all(&connect[..end]).unwrap();
        stream.flush().unwrap();
        expect_end(&format!("{end} bytes of CONNECT"), &mut stream);
    }
    let heads: [(&str, &str); 6] = [
        ("no request", ""),
        ("half a request line", "GET /twins/d"),
        ("half a head", "GET /twins/d HTTP/1.1\r\nHost: localhost\r\nAuthoriz"),
        ("a finished request and no other", "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (
            "half a body",
            "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{",
        ),
        (
            "a chunked body without an end",
            "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        ),
    ];
    for (what, bytes) in heads {
        let mut stream = secure(&hub, hub.https_address(), Tls::default());
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.flush().unwrap();
        expect_end(what, &mut stream);
    }
    for (what, bytes) in [("no frame", &[][..]), ("half a frame", &[0x82, 0x85, 1, 2, 3, 4, 5])] {
        let (mut socket, _) = upgrade(&hub, Tls::default(), PATH, Some("mqtt")).unwrap();
        socket.get_mut().write_all(bytes).unwrap();
        socket.get_mut().flush().unwrap();
        expect_end(&format!("WebSocket: {what}"), socket.get_mut());
    }
    well.publish("devices/d/messages/events/", 1, "still here");
    well.expect_puback(1);
}

/// A body in single bytes has no pause that is long, and no end.
#[test]
fn a_body_that_trickles_is_cut() {
    let (hub, _events) = start_hurried();
    let mut stream = secure(&hub, hub.https_address(), Tls::default());
    let head = "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.sock.set_read_timeout(Some(DEADLINE / 20)).unwrap();
    let mut answer = Vec::new();
    for _ in 0..1000 {
        // The write fails first where the hub closes with bytes of ours unread.
        let written = stream.write_all(b" ").and_then(|()| stream.flush());
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && written.is_ok() => {}
            _ => return,
        }
    }
    panic!("it is still open: {}", String::from_utf8_lossy(&answer));
}

#[test]
fn whoever_does_not_read_answers_is_cut() {
    let (hub, _events) = start_hurried();
    let mut stream = secure(&hub, hub.https_address(), Tls::default());
    stream.sock.set_write_timeout(Some(PATIENCE)).unwrap();
    let request = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    // Answers fill the sockets' buffers, then requests do; then only the hub can end it.
    let error = loop {
        if let Err(error) = stream.write_all(request.as_bytes()) {
            break error;
        }
    };
    assert!(
        !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "it is still open: {error}"
    );
}

#[test]
fn what_is_too_large_is_not_waited_for() {
    let (hub, events) = start_hurried();
    // A CONNECT that announces more than a will and credentials can need.
    let mut client = Client::open(&hub, Tls::default());
    client.send_bytes(&[0x10, 0xff, 0xff, 0x0f]);
    client.expect_close();
    assert!(events.next("refused")["reason"].as_str().unwrap().contains("TooLarge"));

    let answer = |request: String| {
        let mut stream = secure(&hub, hub.https_address(), Tls::default());
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.flush());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    let answered = answer(head);
    assert!(answered.starts_with("HTTP/1.1 431"), "{answered:.200}");
    let body = "POST /emulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n";
    assert!(answer(body.to_owned()).starts_with("HTTP/1.1 4"));

    // A frame that announces 16 MiB.
    let (mut socket, _) = upgrade(&hub, Tls::default(), PATH, Some("mqtt")).unwrap();
    let frame = [&[0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0][..], &[0; 4]].concat();
    socket.get_mut().write_all(&frame).unwrap();
    socket.get_mut().flush().unwrap();
    expect_end("a large frame", socket.get_mut());
}
