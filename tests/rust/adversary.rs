//! Servers that are silent, mad or hang up, crowds of clients, and secrets in what is logged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use iothub_emulator::{CloudMessage, Fault, Options};
use iothub_mqtt::hub::Message;
use iothub_mqtt::io::{Ack, Cause};
use iothub_mqtt::mqtt::{Publish, QoS};
use iothub_mqtt::{Answer, Completion, ConnectionState, ErrorKind, MqttClient, MqttConfig};
use iothub_tests::broker::{Mosquitto, PASSWORD, USER};
use iothub_tests::proxy::Proxy;
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded, wait};

/// Answers every connection with `bytes` and then keeps it, or not. Counts them.
fn server(bytes: &'static [u8], keeps: bool) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut link in listener.incoming().map_while(Result::ok) {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = link.read(&mut [0; 4096]);
            let _ = link.write_all(bytes);
            if keeps {
                kept.push(link);
            }
        }
    });
    (port, count)
}

fn fault_of(local: &Local, bytes: &'static [u8], keeps: bool) -> Cause {
    let mut config = local.config(DEVICE);
    config.tuning.set_port(server(bytes, keeps).0).unwrap();
    config.tuning.set_connect_timeout(Duration::from_millis(300)).unwrap();
    let device = Recorded::new(config);
    drop(device.client.connect().unwrap());
    let status = device.fault();
    println!("{status:?}");
    status.cause.unwrap()
}

#[test]
fn a_server_that_is_silent_or_talks_rubbish_has_a_cause() {
    let local = Local::start();
    assert_eq!(fault_of(&local, b"", true), Cause::ConnectTimeout);
    assert_eq!(fault_of(&local, b"HTTP/1.1 400 Bad Request\r\n\r\n", true), Cause::Tls);
    assert_eq!(fault_of(&local, &[0x16, 3, 3, 0x40], true), Cause::ConnectTimeout);
    assert_eq!(fault_of(&local, &[0xff; 5000], true), Cause::Tls);
    assert_eq!(fault_of(&local, b"", false), Cause::ClosedByHub);
}

/// With waits that may not be shorter than 50 ms there are few connections in a second.
#[test]
fn a_peer_that_hangs_up_at_once_is_not_called_without_end() {
    let local = Local::start();
    let (port, count) = server(b"", false);
    let mut config = local.config(DEVICE);
    config.tuning.set_port(port).unwrap();
    config.tuning.set_backoff(Duration::from_millis(50), Duration::from_millis(100)).unwrap();
    let device = Recorded::new(config);
    drop(device.client.connect().unwrap());
    let until = Instant::now() + Duration::from_secs(1);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
    let calls = count.load(Ordering::SeqCst);
    assert!((3..=40).contains(&calls), "{calls} calls");
}

/// The link freezes during the handshake; the hub must not learn of a client that was closed by then.
#[test]
fn closing_during_the_handshake_leaves_no_will_behind() {
    let local = Local::start();
    let proxy = Proxy::to(local.hub.mqtt_address());
    proxy.freeze(true);
    let mut config = local.config(DEVICE);
    config.tuning.set_port(proxy.port()).unwrap();
    config.set_will(&Message::new("gone"), 1).unwrap();
    let device = Recorded::new(config);
    let connected = device.client.connect().unwrap();
    proxy.wait_accepted(1);
    let start = Instant::now();
    wait(device.client.close(PATIENCE).unwrap()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "it waited for the handshake with nothing to send");
    assert_eq!(wait(connected).unwrap_err().kind(), ErrorKind::Closed);
    proxy.freeze(false);
    let mut other = local.config(DEVICE);
    other.tuning.set_port(local.hub.mqtt_port()).unwrap();
    let other = Recorded::connected(other);
    wait(other.client.send(&Message::new("alive")).unwrap()).unwrap();
    assert_eq!(local.event("telemetry")["body"], "alive");
}

#[test]
fn a_message_expires_in_flight_on_a_dead_link() {
    let local = Local::start();
    let proxy = Proxy::to(local.hub.mqtt_address());
    let mut config = local.config(DEVICE);
    config.tuning.set_port(proxy.port()).unwrap();
    config.tuning.set_time_to_live(Some(Duration::from_millis(300))).unwrap();
    let device = Recorded::connected(config);
    proxy.freeze(true);
    let pending = device.client.send(&Message::new("late")).unwrap();
    assert_eq!(wait(pending).unwrap_err().kind(), ErrorKind::Expired);
    let closed = wait(device.client.close(Duration::from_millis(300)).unwrap());
    println!("{closed:?}");
    device.until(ConnectionState::Closed);
}

/// Many threads, small limits: each message ends once and in the order of its thread.
#[test]
fn eight_threads_share_a_small_queue() {
    const EACH: usize = 500;
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.tuning.set_queue_limits(10, 1 << 20).unwrap();
    config.tuning.set_in_flight(3).unwrap();
    let device = Recorded::connected(config);
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let client = device.client.clone();
            thread::spawn(move || {
                let (sender, ends) = mpsc::channel();
                let mut refused = 0;
                for i in 0..EACH {
                    let message = Message::new(format!("{thread} {i}"));
                    loop {
                        let sender = sender.clone();
                        let done = Completion::new(move |result| sender.send(result).unwrap());
                        match client.send_with(&message, done) {
                            Ok(()) => break,
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Full);
                                refused += 1;
                                thread::yield_now();
                            }
                        }
                    }
                }
                for _ in 0..EACH {
                    assert_eq!(ends.recv_timeout(PATIENCE).unwrap().unwrap(), Answer::Done);
                }
                drop(sender);
                assert!(ends.recv().is_err());
                refused
            })
        })
        .collect();
    let refused: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    println!("{refused} times full");
    let mut next = [0; 8];
    for _ in 0..8 * EACH {
        let event = local.event("telemetry");
        let (thread, i) = event["body"].as_str().unwrap().split_once(' ').unwrap();
        let thread: usize = thread.parse().unwrap();
        assert_eq!(i.parse::<usize>().unwrap(), next[thread]);
        next[thread] += 1;
    }
    assert_eq!(device.client.mqtt().queued(), (0, 0));
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter(|task| {
            let name = task.as_ref().unwrap().path().join("comm");
            std::fs::read_to_string(name).is_ok_and(|name| name.starts_with("iothub-"))
        })
        .count()
}

/// They share one thread for I/O and a few for callbacks, and are freed from several threads at once.
#[test]
fn a_crowd_of_clients_needs_few_threads() {
    const CROWD: usize = 300;
    let options = (0..CROWD).fold(Options::default(), |options, i| options.device(&format!("d{i}")));
    let local = Local::with(options);
    let clients: Vec<_> = (0..CROWD).map(|i| Recorded::new(local.config(&format!("d{i}")))).collect();
    let pending: Vec<_> = clients.iter().map(|client| client.client.connect().unwrap()).collect();
    for pending in pending {
        wait(pending).unwrap();
    }
    let all: Vec<_> = clients.iter().map(|c| c.client.send(&Message::new("m")).unwrap()).collect();
    all.into_iter().for_each(|pending| drop(wait(pending).unwrap()));
    println!("{} threads", threads());
    assert!(threads() < 70, "{} threads", threads());
    let handles: Vec<_> = clients.iter().map(|client| client.client.clone()).collect();
    let handles = &handles;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || handles.iter().for_each(iothub_mqtt::DeviceClient::free));
        }
    });
    for client in &clients {
        assert_eq!(client.client.send(&Message::new("m")).unwrap_err().kind(), ErrorKind::Closed);
    }
}

/// Its own callbacks may be waiting for a thread of the same pool.
#[test]
fn a_callback_may_free_another_client_that_is_busy() {
    let local = Local::with(Options::default().device("one").device("two"));
    let (one, two) = (Recorded::connected(local.config("one")), Recorded::connected(local.config("two")));
    let (entered, inside) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let hold = Completion::new(move |_| {
        entered.send(()).unwrap();
        released.recv().unwrap();
    });
    two.client.send_with(&Message::new("m"), hold).unwrap();
    inside.recv_timeout(PATIENCE).unwrap();
    let (sender, freed) = mpsc::channel();
    let other = two.client.clone();
    let free = Completion::new(move |_| {
        release.send(()).unwrap();
        other.free();
        sender.send(()).unwrap();
    });
    one.client.send_with(&Message::new("m"), free).unwrap();
    freed.recv_timeout(PATIENCE).unwrap();
    wait(one.client.send(&Message::new("still here")).unwrap()).unwrap();
}

struct Capture(Mutex<String>);
static LOG: Capture = Capture(Mutex::new(String::new()));

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("iothub_mqtt") || record.target().starts_with("rustls") {
            let line = format!("{}: {}\n", record.target(), record.args());
            self.0.lock().unwrap().push_str(&line);
        }
    }
    fn flush(&self) {}
}

#[test]
fn neither_the_log_nor_debug_shows_a_secret() {
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let local = Local::start();
    let config = local.config(DEVICE);
    let string = local.hub.connection_string(DEVICE).unwrap();
    let key = string.split_once("SharedAccessKey=").unwrap().1.to_owned();
    let mut mqtt = MqttConfig::new("localhost", "c").unwrap();
    mqtt.set_credentials("user", Some("correct-horse"));
    let mut message = Message::new("battery-staple");
    message.set_property("name", Some("battery-staple")).unwrap();
    let mut shown = format!("{config:?} {mqtt:?} {message:?}");
    let device = Recorded::new(config);
    let (sender, got) = mpsc::channel();
    device
        .client
        .on_message(Some(Box::new(move |message, _| {
            sender.send(format!("{message:?}")).unwrap();
            Ack::Now
        })))
        .unwrap();
    wait(device.client.connect().unwrap()).unwrap();
    local.hub.send_c2d(DEVICE, CloudMessage::new("battery-staple")).unwrap();
    shown += &got.recv_timeout(PATIENCE).unwrap();
    wait(device.client.send(&message).unwrap()).unwrap();
    local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
    shown += &format!("{:?} {device:?}", device.fault());
    let broker = MqttClient::threaded(mqtt).unwrap();
    shown += &format!("{broker:?}");
    wait(device.client.close(PATIENCE).unwrap()).unwrap();
    let log = LOG.0.lock().unwrap().clone();
    assert!(log.contains("Connected"), "nothing was logged: {log}");
    for secret in [key.as_str(), "correct-horse", "battery-staple", "sig=", "SharedAccessSignature"] {
        assert!(!log.contains(secret), "{secret} in the log");
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// Each message calls for the next when it is done.
fn publish_without_end(client: MqttClient, count: Arc<AtomicUsize>) {
    let (next, counter) = (client.clone(), Arc::clone(&count));
    let done = Completion::new(move |result| {
        counter.fetch_add(1, Ordering::SeqCst);
        if result.is_ok() {
            publish_without_end(next, counter);
        }
    });
    let publish = Publish { topic: "t", payload: b"x", qos: QoS::AtMostOnce, retain: false };
    drop(client.publish_with(&publish, done));
}

/// There is always something to write; the answers are read nevertheless.
#[test]
fn a_flood_of_messages_does_not_drown_the_answers() {
    let broker = Mosquitto::start();
    let mut config = MqttConfig::new("localhost", "flood").unwrap();
    config.tuning.set_port(broker.port()).unwrap();
    config.tuning.set_trusted_roots(broker.ca_pem.as_bytes()).unwrap();
    config.set_credentials(USER, Some(PASSWORD));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, mut driver) = MqttClient::driven(config).unwrap();
    runtime.block_on(async {
        let answers = async {
            client.connect().unwrap().await.unwrap();
            let count = Arc::<AtomicUsize>::default();
            publish_without_end(client.clone(), Arc::clone(&count));
            let filters = vec![("other".to_owned(), QoS::AtLeastOnce)];
            let answer = tokio::time::timeout(Duration::from_secs(10), client.subscribe(filters).unwrap());
            answer.await.expect("the SUBACK was never read").unwrap();
            let count = count.load(Ordering::SeqCst);
            println!("{count} messages before the answer");
            // With all packet ids used the flood would have ended by itself.
            assert!(count < 60_000, "{count} messages before the answer");
        };
        tokio::select! {
            () = answers => {}
            () = driver.run() => panic!("ended"),
        }
    });
}
