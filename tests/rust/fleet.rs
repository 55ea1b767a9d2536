//! A thousand devices in one process, as a gateway has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::mpsc;

use iothub_emulator::{CloudMessage, Options};
use iothub_mqtt::hub::Message;
use iothub_mqtt::io::Ack;
use iothub_mqtt::{Completion, DeviceClient};
use iothub_tests::{Local, PATIENCE};

const DEVICES: usize = 1_000;
const EACH: usize = 5;
/// Beyond it the library starts no thread for callbacks, however many clients there are.
const MOST_CALLBACK_THREADS: usize = 64;

/// The threads of this process with that name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    names.filter(|comm| comm.as_ref().is_ok_and(|comm| comm.trim_end() == name)).count()
}

#[test]
fn a_thousand_devices_share_the_threads_and_do_not_wait_for_each_other() {
    let mut options = Options::default();
    for n in 0..DEVICES {
        options = options.device(&format!("d{n}"));
    }
    let local = Local::with(options);
    let clients: Vec<DeviceClient> =
        (0..DEVICES).map(|n| DeviceClient::threaded(local.config(&format!("d{n}"))).unwrap()).collect();

    // The callback of one device blocks, as somebody's always does.
    let (release, released) = mpsc::channel::<()>();
    let (blocked, is_blocked) = mpsc::channel();
    clients[0]
        .on_message(Some(Box::new(move |_, _| {
            blocked.send(()).unwrap();
            released.recv().unwrap();
            Ack::Now
        })))
        .unwrap();
    let (connected, connects) = mpsc::channel();
    for client in &clients {
        let connected = connected.clone();
        client.connect_with(Completion::new(move |result| connected.send(result).unwrap())).unwrap();
    }
    for _ in &clients {
        connects.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    local.hub.send_c2d("d0", CloudMessage::new("block")).unwrap();
    is_blocked.recv_timeout(PATIENCE).unwrap();

    let (acknowledged, acknowledgements) = mpsc::channel();
    for n in 0..EACH {
        for (device, client) in clients.iter().enumerate() {
            let acknowledged = acknowledged.clone();
            let done = Completion::new(move |result| acknowledged.send((device, n, result)).unwrap());
            client.send_with(&Message::new(n.to_string()), done).unwrap();
        }
    }
    let mut next = HashMap::new();
    for _ in 0..(DEVICES - 1) * EACH {
        let (device, n, result) = acknowledgements.recv_timeout(PATIENCE).unwrap();
        result.unwrap();
        assert_ne!(device, 0, "its callbacks wait for the one that blocks");
        let expected = next.entry(device).or_insert(0);
        assert_eq!(n, *expected, "acknowledgements of d{device}");
        *expected += 1;
    }
    let (io, callbacks) = (threads("iothub-io"), threads("iothub-callback"));
    println!("{DEVICES} connected devices: {io} thread for the I/O, {callbacks} for callbacks");
    assert_eq!(io, 1);
    assert!(callbacks <= MOST_CALLBACK_THREADS);

    release.send(()).unwrap();
    for n in 0..EACH {
        assert_eq!(acknowledgements.recv_timeout(PATIENCE).unwrap().1, n);
    }
    let mut bodies: HashMap<String, Vec<String>> = HashMap::new();
    for _ in 0..DEVICES * EACH {
        let event = local.event("telemetry");
        let body = event["body"].as_str().unwrap().to_owned();
        bodies.entry(event["device"].as_str().unwrap().to_owned()).or_default().push(body);
    }
    let expected: Vec<String> = (0..EACH).map(|n| n.to_string()).collect();
    assert!(bodies.len() == DEVICES && bodies.values().all(|bodies| *bodies == expected));
    clients.iter().for_each(DeviceClient::free);
}
