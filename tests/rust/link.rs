//! The library on a bad network: slow, cut, dead, and driven by a host that is late.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::time::Duration;

use iothub_emulator::Fault;
use iothub_mqtt::hub::Message;
use iothub_mqtt::io::Cause;
use iothub_mqtt::{Config, ConnectionState, DeviceClient};
use iothub_tests::proxy::Proxy;
use iothub_tests::{DEVICE, Local, Recorded, wait};

/// A hub behind a network that can be made worse, and the options to reach it.
fn behind_proxy() -> (Local, Proxy, Config) {
    let local = Local::start();
    let proxy = Proxy::to(local.hub.mqtt_address());
    let mut config = local.config(DEVICE);
    config.tuning.set_port(proxy.port()).unwrap();
    (local, proxy, config)
}

#[test]
fn a_large_message_crosses_a_slow_link_in_one_piece() {
    let (local, proxy, mut config) = behind_proxy();
    config.tuning.set_keep_alive(1).unwrap();
    let device = Recorded::connected(config);
    proxy.limit(100_000);
    let body = vec![b'x'; 255 * 1024];
    let (large, small) = (
        device.client.send(&Message::new(body)).unwrap(),
        device.client.send(&Message::new("next")).unwrap(),
    );
    wait(large).unwrap();
    wait(small).unwrap();
    assert_eq!(proxy.accepted(), 1, "the connection was given up meanwhile");
    assert_eq!(local.event("telemetry")["body"].as_str().unwrap().len(), 255 * 1024);
    assert_eq!(local.event("telemetry")["body"], "next");
}

#[test]
fn a_dead_link_is_found_and_replaced() {
    let (local, proxy, mut config) = behind_proxy();
    config.tuning.set_keep_alive(1).unwrap();
    config.tuning.set_ping_timeout(1).unwrap();
    let device = Recorded::connected(config);
    proxy.freeze(true);
    let pending = device.client.send(&Message::new("into the void")).unwrap();
    let status = device.fault();
    assert_eq!(status.cause, Some(Cause::KeepAlive), "{status:?}");
    proxy.freeze(false);
    wait(pending).unwrap();
    assert_eq!(local.event("telemetry")["body"], "into the void");
}

#[test]
fn a_reset_is_a_cause_and_what_was_sent_is_sent_again() {
    let (local, proxy, config) = behind_proxy();
    let device = Recorded::connected(config);
    proxy.freeze(true);
    let pending: Vec<_> =
        (0..20).map(|i| device.client.send(&Message::new(i.to_string())).unwrap()).collect();
    proxy.refuse(true);
    proxy.cut();
    let status = device.fault();
    assert!(matches!(status.cause, Some(Cause::ConnectionReset | Cause::ClosedByHub)), "{status:?}");
    proxy.wait_accepted(3);
    proxy.freeze(false);
    proxy.refuse(false);
    for pending in pending {
        wait(pending).unwrap();
    }
    for i in 0..20 {
        assert_eq!(local.event("telemetry")["body"], i.to_string());
    }
}

/// Whoever drives the client may drop the future at any time, as `select!` does.
#[test]
fn a_driver_that_is_cancelled_every_five_milliseconds_loses_nothing() {
    let (local, _proxy, config) = behind_proxy();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, mut driver) = DeviceClient::driven(config).unwrap();
    drop(client.connect().unwrap());
    let body = vec![b'x'; 20_000];
    let pending: Vec<_> = (0..100).map(|_| client.send(&Message::new(body.clone())).unwrap()).collect();
    runtime.block_on(async {
        let all = async {
            for pending in pending {
                pending.await.unwrap();
            }
        };
        let cancelled = async {
            loop {
                let _ = tokio::time::timeout(Duration::from_millis(5), driver.run()).await;
            }
        };
        tokio::select! {
            () = all => {}
            () = cancelled => {}
        }
    });
    for _ in 0..100 {
        assert_eq!(local.event("telemetry")["body"].as_str().unwrap().len(), 20_000);
    }
}

#[test]
fn a_driver_that_is_late_for_keep_alive_finds_a_connection_that_lives() {
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.tuning.set_keep_alive(4).unwrap();
    config.tuning.set_ping_timeout(1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, mut driver) = DeviceClient::driven(config).unwrap();
    let connected = client.connect().unwrap();
    runtime.block_on(async {
        tokio::select! {
            connected = connected => drop(connected.unwrap()),
            () = driver.run() => panic!("ended"),
        }
    });
    // Longer than keep-alive, and less than the hub's patience of one and a half times it.
    let late = std::time::Instant::now() + Duration::from_millis(4500);
    while std::time::Instant::now() < late {
        std::thread::park_timeout(late - std::time::Instant::now());
    }
    runtime.block_on(async {
        let pending = client.send(&Message::new("still here")).unwrap();
        tokio::select! {
            answer = pending => drop(answer.unwrap()),
            () = driver.run() => panic!("ended"),
        }
    });
    assert_eq!(local.event("connected")["session_present"], false);
    assert_eq!(local.event("telemetry")["body"], "still here");
    assert!(local.events.try_iter().all(|event| event["event"] != "connected"), "it was connected again");
}

#[test]
fn nothing_is_lost_or_reordered_through_twenty_cuts() {
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.tuning.set_queue_limits(10_000, 16 << 20).unwrap();
    let device = Recorded::connected(config);
    const MESSAGES: usize = 10_000;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cuts: Vec<usize> = (0..20).map(|_| random.usize(..MESSAGES)).collect();
    cuts.sort_unstable();
    let mut seen = HashSet::new();
    let (mut next, mut duplicates, mut cut) = (0, 0, 0);
    let pending: Vec<_> =
        (0..MESSAGES).map(|i| device.client.send(&Message::new(i.to_string())).unwrap()).collect();
    while next < MESSAGES {
        let event = local.event("telemetry");
        let i: usize = event["body"].as_str().unwrap().parse().unwrap();
        if seen.insert(i) {
            assert_eq!(i, next, "a first arrival out of order");
            next += 1;
        } else {
            duplicates += 1;
        }
        if cuts.get(cut).is_some_and(|at| next > *at) {
            let kind = if cut % 2 == 0 { "drop" } else { "drop_and_lose_session" };
            local.hub.fault(&Fault::new(kind, DEVICE)).unwrap();
            cut += 1;
        }
    }
    for pending in pending {
        wait(pending).unwrap();
    }
    println!("{duplicates} duplicates after {cut} cuts");
    assert_eq!(device.client.mqtt().queued(), (0, 0));
    device.until(ConnectionState::Connected);
}
