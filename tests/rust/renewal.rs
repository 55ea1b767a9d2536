//! Tokens that live ten seconds, under load: telemetry, twin reports and methods go on as if nothing
//! was renewed. `IOTHUB_SOAK=1` makes it five minutes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use iothub_mqtt::hub::Message;
use iothub_mqtt::io::Cause;
use iothub_mqtt::{Answer, Completion, DeviceClient};
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded, wait};
use serde_json::json;

const LIFE: Duration = Duration::from_secs(10);
/// Between two messages: 200 a second.
const PACE: Duration = Duration::from_millis(5);

/// Sends numbered messages at a pace, and after each tenth a report; how many of both.
fn load(client: &DeviceClient, length: Duration, failed: &mpsc::Sender<String>) -> (u64, u64) {
    let (start, mut reports) = (Instant::now(), 0);
    for n in 0.. {
        // The pace of the load, not a wait for something.
        std::thread::sleep((start + PACE * n).saturating_duration_since(Instant::now()));
        if start.elapsed() > length {
            return (n.into(), reports);
        }
        let tell = |what: String| {
            let failed = failed.clone();
            Completion::new(move |result| {
                if let Err(error) = result {
                    failed.send(format!("{what}: {error}")).unwrap();
                }
            })
        };
        client.send_with(&Message::new(n.to_string()), tell(format!("message {n}"))).unwrap();
        if n % 10 == 0 {
            reports += 1;
            let patch = json!({ "reports": reports }).to_string();
            client.twin_patch_with(patch.as_bytes(), tell(format!("report {reports}"))).unwrap();
        }
    }
    unreachable!("the numbers do not end")
}

#[test]
fn renewals_are_not_noticed_under_load() {
    let soak = std::env::var_os("IOTHUB_SOAK").is_some();
    let length = Duration::from_secs(if soak { 300 } else { 20 });
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.set_sas_life(LIFE).unwrap();
    let device = Recorded::new(config);
    let calls = Arc::new(AtomicU64::new(0));
    let (counted, client) = (Arc::clone(&calls), device.client.clone());
    let answer = move |method: &iothub_mqtt::hub::Method| {
        counted.fetch_add(1, Ordering::SeqCst);
        client.respond(method.request, 200, &method.body).unwrap();
    };
    device.client.on_method(Some(Box::new(answer))).unwrap();
    wait(device.client.connect().unwrap()).unwrap();

    // A back-end that calls a method, waits for the answer, and calls the next.
    let stop = Arc::new(AtomicBool::new(false));
    let (hub, stopped) = (Arc::clone(&local.hub), Arc::clone(&stop));
    let caller = std::thread::spawn(move || {
        let mut answered = 0_u64;
        while !stopped.load(Ordering::SeqCst) {
            let (status, echo) =
                hub.call_method(DEVICE, "echo", Some(&json!(answered)), PATIENCE, PATIENCE).unwrap();
            assert_eq!((status, echo), (200, json!(answered)));
            answered += 1;
        }
        answered
    });
    // The hub's view: every message once, in order, and how long it had to wait for the next.
    let events = local.hub.events();
    let watcher = std::thread::spawn(move || {
        let (mut next, mut longest, mut last) = (0_u64, Duration::ZERO, None::<Instant>);
        while let Ok(event) = events.recv_timeout(Duration::from_secs(5)) {
            if event["event"] == "telemetry" {
                assert_eq!(event["body"], next.to_string(), "lost, doubled or out of order");
                longest = longest.max(last.map_or(Duration::ZERO, |last| last.elapsed()));
                last = Some(Instant::now());
                next += 1;
            }
        }
        (next, longest)
    });

    let (sender, failures) = mpsc::channel();
    let (messages, reports) = load(&device.client, length, &sender);
    stop.store(true, Ordering::SeqCst);
    let answered = caller.join().unwrap();
    // Answered after everything that was asked before it.
    let Ok(Answer::Reported(Some(version))) = wait(device.client.twin_patch(b"{}").unwrap()) else {
        panic!("the last report")
    };
    wait(device.client.close(PATIENCE).unwrap()).unwrap();
    let (arrived, longest) = watcher.join().unwrap();

    let failures: Vec<String> = failures.try_iter().collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(arrived, messages);
    assert_eq!(version, 1 + reports + 1, "each report changes the version once");
    assert_eq!(calls.load(Ordering::SeqCst), answered);
    let mut renewals = 0;
    for status in device.changes.try_iter() {
        match status.cause {
            None | Some(Cause::ClosedByUs) => {}
            Some(Cause::Renewed) => renewals += 1,
            Some(other) => panic!("{other}: {status:?}"),
        }
    }
    println!(
        "{length:?} with tokens of {LIFE:?}: {renewals} renewals, {messages} messages, {reports} reports, \
         {answered} methods; the longest gap between two messages at the hub was {longest:?}"
    );
    assert!(renewals >= length.as_secs() / LIFE.as_secs());
}
