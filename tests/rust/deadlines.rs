//! Every call while the hub cannot answer: each ends by its own deadline, with the code that says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use iothub_emulator::Fault;
use iothub_mqtt::hub::Message;
use iothub_mqtt::{Answer, Completion, Config, ErrorKind, Result};
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded};

/// For sends and twin requests.
const DEADLINE: Duration = Duration::from_millis(400);

/// What is wrong with the hub.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// Nothing listens.
    Unreachable,
    /// The name has no address.
    NoSuchName,
    /// TCP connects, and nothing comes.
    SilentAfterTcp,
    /// TLS is made, and CONNECT is not answered.
    SilentAfterTls,
    /// CONNACK comes, and nothing after it.
    SilentAfterConnack,
    /// Every connection is reset at once.
    Resetting,
    /// Twin requests are answered with 429.
    Throttling,
}

use Trouble::{
    NoSuchName, Resetting, SilentAfterConnack, SilentAfterTcp, SilentAfterTls, Throttling, Unreachable,
};

const TROUBLES: [Trouble; 7] =
    [Unreachable, NoSuchName, SilentAfterTcp, SilentAfterTls, SilentAfterConnack, Resetting, Throttling];

/// Resets every connection: closed with a linger time of 0 it is RST instead of FIN.
fn reset_all(listener: &TcpListener) {
    for socket in listener.incoming().map_while(std::result::Result::ok) {
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
    }
}

/// Options for a hub in that trouble; what is returned beside them keeps the trouble up.
fn options(local: &Local, trouble: Trouble) -> (Config, Option<TcpListener>) {
    let mut config = local.config(DEVICE);
    config.tuning.set_time_to_live(Some(DEADLINE)).unwrap();
    config.set_request_timeout(DEADLINE).unwrap();
    let arm = |fault: &str| {
        let fault = Fault { count: Some(1000), ..Fault::new(fault, DEVICE) };
        local.hub.fault(&fault).unwrap();
    };
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let mut kept = None;
    match trouble {
        Unreachable => config.tuning.set_port(listener().local_addr().unwrap().port()).unwrap(),
        NoSuchName => config.set_gateway("no-such-hub.invalid").unwrap(),
        SilentAfterTcp | Resetting => {
            let listener = listener();
            config.tuning.set_port(listener.local_addr().unwrap().port()).unwrap();
            if trouble == Resetting {
                let listener = listener.try_clone().unwrap();
                std::thread::spawn(move || reset_all(&listener));
            }
            kept = Some(listener);
        }
        SilentAfterTls => arm("mute"),
        SilentAfterConnack => arm("half_open"),
        Throttling => arm("throttle"),
    }
    (config, kept)
}

/// One call and how it ended.
struct Row {
    call: &'static str,
    ended: mpsc::Receiver<(Result<Answer>, Duration)>,
}

fn begin(call: &'static str, start: impl FnOnce(Completion) -> Result<()>) -> Row {
    let (sender, ended) = mpsc::channel();
    let since = Instant::now();
    start(Completion::new(move |result| sender.send((result, since.elapsed())).unwrap())).unwrap();
    Row { call, ended }
}

fn code(result: &Result<Answer>) -> Option<ErrorKind> {
    result.as_ref().err().map(iothub_mqtt::Error::kind)
}

#[test]
fn every_call_ends_by_its_deadline_with_the_right_code() {
    println!("{:<20} {:<12} {:<12} after", "the hub", "the call", "ended with");
    for trouble in TROUBLES {
        let local = Local::start();
        let (config, _kept) = options(&local, trouble);
        let device = Recorded::new(config);
        let client = &device.client;
        let connected = matches!(trouble, SilentAfterConnack | Throttling);
        let end = |row: Row, expected: Option<ErrorKind>| {
            let (result, after) = row.ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!("{trouble:?}: {} did not end", row.call);
            });
            let shown = code(&result).map_or("Ok".to_owned(), |kind| format!("{kind:?}"));
            println!("{:<20} {:<12} {:<12} {after:.0?}", format!("{trouble:?}"), row.call, shown);
            assert_eq!(code(&result), expected, "{trouble:?}: {}", row.call);
        };

        let connect = begin("connect", |done| client.connect_with(done));
        if connected {
            let (result, _) = connect.ended.recv_timeout(PATIENCE).unwrap();
            assert_eq!(code(&result), None);
        }
        let calls = [
            begin("send", |done| client.send_with(&Message::new("m"), done)),
            begin("twin_get", |done| client.twin_get_with(done)),
            begin("twin_patch", |done| client.twin_patch_with(b"{}", done)),
        ];
        let requests = if trouble == Throttling { ErrorKind::Throttled } else { ErrorKind::Timeout };
        let sends = (trouble != Throttling).then_some(ErrorKind::Expired);
        for (call, expected) in calls.into_iter().zip([sends, Some(requests), Some(requests)]) {
            end(call, expected);
        }
        if !connected {
            // The trying goes on: nothing is refused that the world could not cure.
            assert!(connect.ended.try_recv().is_err());
        }
        let last = begin("close", |done| client.close_with(DEADLINE, done));
        // Kept for a hub that does not take it, though its completion has been told.
        end(last, (trouble == SilentAfterConnack).then_some(ErrorKind::Timeout));
        if !connected {
            end(connect, Some(ErrorKind::Closed));
        }
        let refused = begin_refused(|done| client.send_with(&Message::new("m"), done));
        assert_eq!(refused, ErrorKind::Closed);
    }
}

fn begin_refused(start: impl FnOnce(Completion) -> Result<()>) -> ErrorKind {
    start(Completion::new(|_| panic!("a refused call completes nothing"))).unwrap_err().kind()
}
