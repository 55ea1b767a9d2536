//! A client whose I/O is done by the loop of the application: who wakes it, who may be inside, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use iothub_emulator::{CloudMessage, Fault};
use iothub_mqtt::hub::Message;
use iothub_mqtt::io::{Ack, Manual};
use iothub_mqtt::{Completion, ConnectionState, DeviceClient, ErrorKind, Result};
use iothub_tests::proxy::Proxy;
use iothub_tests::{DEVICE, Local, PATIENCE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

fn readable(manual: &Manual, patience: Duration) -> bool {
    let timeout = Timespec { tv_sec: patience.as_secs().try_into().unwrap(), tv_nsec: 0 };
    let mut fds = [PollFd::from_borrowed_fd(manual.fd(), PollFlags::IN)];
    poll(&mut fds, Some(&timeout)).unwrap() == 1
}

/// One pass of a loop.
fn pass(manual: &Manual) -> Result<()> {
    assert!(readable(manual, PATIENCE), "never readable");
    manual.process(AT_ONCE)
}

fn until(manual: &Manual, condition: impl Fn() -> bool) {
    while !condition() {
        pass(manual).unwrap();
    }
}

/// How an operation has ended, so far.
fn recorded() -> (Completion, Arc<Mutex<Option<Result<()>>>>) {
    let end = Arc::new(Mutex::new(None));
    let set = Arc::clone(&end);
    (Completion::new(move |result| *set.lock().unwrap() = Some(result.map(drop))), end)
}

fn connected(local: &Local) -> (DeviceClient, Manual) {
    let (client, manual) = DeviceClient::manual(local.config(DEVICE)).unwrap();
    let (done, end) = recorded();
    client.connect_with(done).unwrap();
    until(&manual, || end.lock().unwrap().is_some());
    end.lock().unwrap().clone().unwrap().unwrap();
    (client, manual)
}

/// Every wait of one side ends by the other, over and over: a wake-up that is lost is a hang.
#[test]
fn no_wake_up_is_lost() {
    const THREADS: usize = 8;
    let each = if std::env::var_os("IOTHUB_SOAK").is_some() { 20_000 } else { 400 };
    let local = Local::start();
    let (client, manual) = connected(&local);
    let left = AtomicUsize::new(THREADS);
    thread::scope(|threads| {
        for number in 0..THREADS {
            let (client, left) = (client.clone(), &left);
            threads.spawn(move || {
                let (sender, ends) = mpsc::channel();
                let tell = || {
                    let sender = sender.clone();
                    Completion::new(move |result| sender.send(result.map(drop)).unwrap())
                };
                for _ in 0..each {
                    // Some wait for each, and some have several on the way.
                    for _ in 0..=number % 3 {
                        client.send_with(&Message::new("m"), tell()).unwrap();
                    }
                    for _ in 0..=number % 3 {
                        ends.recv_timeout(PATIENCE).expect("a wake-up was lost").unwrap();
                    }
                }
                left.fetch_sub(1, Ordering::SeqCst);
                // The last of them has nobody else to wake the loop.
                client.on_status(None);
            });
        }
        let mut passes = 0_usize;
        while left.load(Ordering::SeqCst) > 0 {
            // Both ways to wait.
            let result =
                if passes.is_multiple_of(2) { pass(&manual) } else { manual.process(Some(PATIENCE)) };
            result.unwrap();
            passes += 1;
        }
        println!("{passes} passes");
    });
    assert_eq!(client.mqtt().queued(), (0, 0));
}

/// Orders of every kind, from threads that do not know of each other, over a connection that is cut.
#[test]
fn orders_from_everywhere_are_heard() {
    const MESSAGES: usize = 300;
    let local = Local::start();
    let proxy = Proxy::to(local.hub.mqtt_address());
    let mut config = local.config(DEVICE);
    config.tuning.set_port(proxy.port()).unwrap();
    let (client, manual) = DeviceClient::manual(config).unwrap();
    let (sender, deliveries) = mpsc::channel();
    client
        .on_message(Some(Box::new(move |_, delivery| {
            sender.send(delivery).unwrap_or_default();
            Ack::Later
        })))
        .unwrap();
    drop(client.connect().unwrap());
    let (acked, sent) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    for _ in 0..10 {
        local.hub.send_c2d(DEVICE, CloudMessage::new("settle me")).unwrap();
    }
    thread::scope(|threads| {
        let (client, acked) = (&client, &acked);
        threads.spawn(move || {
            while acked.load(Ordering::SeqCst) < 10 {
                let delivery = deliveries.recv_timeout(PATIENCE).unwrap();
                if client.acknowledge(delivery).is_ok() {
                    acked.fetch_add(1, Ordering::SeqCst);
                }
            }
            client.on_status(None);
        });
        threads.spawn(|| {
            for _ in 0..MESSAGES {
                let count = Arc::clone(&sent);
                let done = Completion::new(move |result| {
                    result.unwrap();
                    count.fetch_add(1, Ordering::SeqCst);
                });
                client.send_with(&Message::new("m"), done).unwrap();
            }
        });
        threads.spawn(|| {
            for connections in 1..=3 {
                proxy.wait_accepted(connections);
                proxy.cut();
            }
        });
        let over = || sent.load(Ordering::SeqCst) == MESSAGES && acked.load(Ordering::SeqCst) >= 10;
        until(&manual, || over() && proxy.accepted() > 3);
    });
}

#[test]
fn freeing_from_another_thread_ends_the_loop() {
    let local = Local::start();
    for waits_inside in [false, true] {
        let (client, manual) = connected(&local);
        let (done, end) = recorded();
        thread::scope(|threads| {
            let looping = threads.spawn(|| {
                loop {
                    if let Err(error) =
                        if waits_inside { manual.process(Some(PATIENCE)) } else { pass(&manual) }
                    {
                        return error.kind();
                    }
                }
            });
            // It is inside, or on its way; both have to end.
            client.free();
            assert_eq!(client.send_with(&Message::new("m"), done).unwrap_err().kind(), ErrorKind::Closed);
            assert_eq!(looping.join().unwrap(), ErrorKind::Closed);
        });
        assert!(end.lock().unwrap().is_none(), "refused at the call");
        assert_eq!(local.event("disconnected")["code"], "client");
        for timeout in [AT_ONCE, None] {
            assert_eq!(manual.process(timeout).unwrap_err().kind(), ErrorKind::Closed);
        }
        assert!(!readable(&manual, Duration::ZERO));
    }
}

/// Whoever waits for the descriptor then has to hear of it, once.
#[test]
fn a_freed_client_is_readable_until_its_loop_was_told() {
    let local = Local::start();
    let (client, manual) = connected(&local);
    client.free();
    assert!(readable(&manual, Duration::ZERO));
    assert_eq!(manual.process(AT_ONCE).unwrap_err().kind(), ErrorKind::Closed);
    assert!(!readable(&manual, Duration::ZERO));
}

/// As a program that forgets it.
#[test]
fn dropping_the_host_ends_the_client_on_the_thread_that_drops_it() {
    let local = Local::start();
    let (client, manual) = connected(&local);
    let here = thread::current().id();
    let (sender, ends) = mpsc::channel();
    for _ in 0..3 {
        let sender = sender.clone();
        let done = Completion::new(move |result| {
            sender.send((result.unwrap_err().kind(), thread::current().id())).unwrap();
        });
        client.send_with(&Message::new("never sent"), done).unwrap();
    }
    // No turn since: nothing was sent, and a goodbye is all that leaves.
    drop(manual);
    for _ in 0..3 {
        assert_eq!(ends.try_recv().unwrap(), (ErrorKind::Closed, here));
    }
    assert_eq!(local.event("disconnected")["code"], "client");
    assert!(local.events.try_iter().all(|event| event["event"] != "telemetry"));
    client.free();
}

/// The last handle is gone: the loop closes the connection, and ends.
#[test]
fn dropping_the_client_ends_the_loop() {
    let local = Local::start();
    let (client, manual) = connected(&local);
    drop(client);
    let ended = std::iter::repeat_with(|| pass(&manual)).find_map(Result::err).unwrap();
    assert_eq!(ended.kind(), ErrorKind::Closed);
    assert_eq!(local.event("disconnected")["code"], "client");
}

/// What does not fit into one call of `process` keeps the descriptor readable.
#[test]
fn a_flood_is_taken_in_pieces() {
    const MESSAGES: usize = 50;
    let local = Local::start();
    let (client, manual) = connected(&local);
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    client
        .on_message(Some(Box::new(move |message, _| {
            assert_eq!(message.body().len(), 60_000);
            count.fetch_add(1, Ordering::SeqCst);
            Ack::Now
        })))
        .unwrap();
    for _ in 0..MESSAGES {
        local.hub.send_c2d(DEVICE, CloudMessage::new(vec![b'x'; 60_000])).unwrap();
    }
    until(&manual, || seen.load(Ordering::SeqCst) == MESSAGES);
    // The acknowledgements leave in `process`, too.
    while readable(&manual, Duration::ZERO) {
        manual.process(AT_ONCE).unwrap();
    }
    for _ in 0..MESSAGES {
        while local.event("c2d")["state"] != "completed" {}
    }
}

/// What the network takes in pieces is sent to its end by the readiness of the socket alone.
#[test]
fn a_slow_network_is_waited_for() {
    let local = Local::start();
    let proxy = Proxy::to(local.hub.mqtt_address());
    let mut config = local.config(DEVICE);
    config.tuning.set_port(proxy.port()).unwrap();
    let (client, manual) = DeviceClient::manual(config).unwrap();
    drop(client.connect().unwrap());
    proxy.limit(20_000_000);
    let sent = Arc::new(AtomicUsize::new(0));
    for _ in 0..40 {
        let count = Arc::clone(&sent);
        let done = Completion::new(move |result| {
            result.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        });
        client.send_with(&Message::new(vec![b'x'; 250_000]), done).unwrap();
    }
    let passes = AtomicUsize::new(0);
    until(&manual, || {
        passes.fetch_add(1, Ordering::SeqCst);
        sent.load(Ordering::SeqCst) == 40
    });
    // Ten megabytes; a loop that spins while the socket is full would pass far more often.
    let passes = passes.into_inner();
    assert!(passes < 5_000, "{passes} passes");
}

/// Each attempt is a few passes, and the waits in between are none.
#[test]
fn a_network_that_is_gone_is_tried_in_peace() {
    let local = Local::start();
    let (client, manual) = connected(&local);
    let (sender, changes) = mpsc::channel();
    client.on_status(Some(Box::new(move |status| sender.send(status.state).unwrap())));
    local.hub.fault(&Fault::new("refuse", DEVICE).for_time(Duration::from_secs(600))).unwrap();
    local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
    let (mut attempts, mut passes) = (0, 0);
    while attempts < 20 {
        pass(&manual).unwrap();
        passes += 1;
        attempts += changes.try_iter().filter(|state| *state == ConnectionState::Connecting).count();
    }
    println!("{passes} passes for {attempts} attempts");
    assert!(passes <= attempts * 12, "{passes} passes for {attempts} attempts");
    client.free();
}
