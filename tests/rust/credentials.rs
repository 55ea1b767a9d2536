//! Tokens that somebody else signs or gives, in time, late, wrongly or never, and what a renewal does to traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iothub_emulator::{CloudMessage, Fault, Options};
use iothub_mqtt::hub::sas::token;
use iothub_mqtt::hub::{Identity, Message, SasSigner, SharedAccessKey};
use iothub_mqtt::io::{Ack, Cause};
use iothub_mqtt::{Config, ConnectionState, DeviceClient, Error, ErrorKind};
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded, wait};

fn key_of(local: &Local, id: &str) -> SharedAccessKey {
    let string = local.hub.connection_string(id).unwrap();
    SharedAccessKey::from_base64(string.split_once("SharedAccessKey=").unwrap().1).unwrap()
}

fn signed_by(config: &mut Config, key: SharedAccessKey) {
    config.set_sas_signer(Arc::new(move |data| Ok(key.sign(data).to_vec())));
}

/// A signer that tells of each call, and answers when the test allows it.
struct Held {
    sign: SasSigner,
    asked: Receiver<Vec<u8>>,
    release: Sender<()>,
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

fn held(key: SharedAccessKey) -> Held {
    let (tell, asked) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let (at_once, most_at_once) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (now, most) = (Arc::clone(&at_once), Arc::clone(&most_at_once));
    let sign: SasSigner = Arc::new(move |data: &[u8]| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tell.send(data.to_vec()).unwrap_or_default();
        // Counted before the lock: a second call would be seen, not queued.
        let answer = released.lock().unwrap().recv();
        now.fetch_sub(1, Ordering::SeqCst);
        answer.map_err(|_| Error::new(ErrorKind::Closed, "the test is over"))?;
        Ok(key.sign(data).to_vec())
    });
    Held { sign, asked, release, at_once, most_at_once }
}

#[test]
fn a_signer_lets_its_device_in_and_is_given_resource_and_expiry() {
    let local = Local::start();
    let signer = held(key_of(&local, DEVICE));
    let mut config = local.config(DEVICE);
    config.set_sas_signer(signer.sign);
    signer.release.send(()).unwrap();
    let device = Recorded::connected(config);
    let text = String::from_utf8(signer.asked.recv().unwrap()).unwrap();
    let (resource, expiry) = text.split_once('\n').unwrap();
    assert_eq!(resource, "localhost%2Fdevices%2Fdevice-1");
    assert!(expiry.parse::<u64>().is_ok(), "{text}");
    wait(device.client.send(&Message::new("signed")).unwrap()).unwrap();
    assert_eq!(local.event("telemetry")["body"], "signed");
}

#[test]
fn a_slow_signer_stalls_nobody_else() {
    let local = Local::with(Options::default().device(DEVICE).device("other"));
    let signer = held(key_of(&local, DEVICE));
    let mut config = local.config(DEVICE);
    config.set_sas_signer(signer.sign);
    let slow = Recorded::new(config);
    let connected = slow.client.connect().unwrap();
    signer.asked.recv_timeout(PATIENCE).unwrap();
    // All clients of the process share one thread for their I/O.
    let other = Recorded::connected(local.config("other"));
    for _ in 0..3 {
        wait(other.client.send(&Message::new("meanwhile")).unwrap()).unwrap();
        assert_eq!(local.event("telemetry")["device"], "other");
    }
    signer.release.send(()).unwrap();
    wait(connected).unwrap();
}

#[test]
fn a_signer_that_hangs_is_left_behind_and_not_called_again_meanwhile() {
    let local = Local::start();
    let signer = held(key_of(&local, DEVICE));
    let mut config = local.config(DEVICE);
    config.tuning.set_connect_timeout(Duration::from_millis(100)).unwrap();
    config.set_sas_signer(signer.sign);
    let device = Recorded::new(config);
    let refusal = wait(device.client.connect().unwrap()).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Auth);
    assert_eq!(refusal.detail(), "the SAS signer did not answer within 100ms");
    let first = device.fault();
    assert_eq!((first.cause, first.detail.as_str()), (Some(Cause::Authentication), refusal.detail()));
    for _ in 0..3 {
        let again = device.fault();
        assert_eq!(again.cause, Some(Cause::Authentication));
        assert_eq!(again.detail, "the SAS signer has not come back from the call for an earlier attempt");
    }
    assert_eq!(signer.at_once.load(Ordering::SeqCst), 1);
    // The answer to the call that was left behind counts for nothing; those that follow are in time.
    (0..100).for_each(|_| signer.release.send(()).unwrap());
    device.until(ConnectionState::Connected);
    assert_eq!(signer.most_at_once.load(Ordering::SeqCst), 1);
    assert!(signer.asked.try_iter().count() >= 2, "the late answer was used");
}

#[test]
fn freeing_a_client_does_not_wait_for_its_signer_which_is_dropped_once_it_is_back() {
    struct Told(Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(()).unwrap_or_default();
        }
    }
    let local = Local::start();
    let Held { sign, asked, release, .. } = held(key_of(&local, DEVICE));
    let (sender, dropped) = mpsc::channel();
    let told = Told(sender);
    let mut config = local.config(DEVICE);
    config.set_sas_signer(Arc::new(move |data| {
        let _ = &told;
        sign(data)
    }));
    let client = DeviceClient::threaded(config).unwrap();
    let pending = client.connect().unwrap();
    asked.recv_timeout(PATIENCE).unwrap();
    client.free();
    assert_eq!(wait(pending).unwrap_err().kind(), ErrorKind::Closed);
    drop(client);
    assert!(dropped.try_recv().is_err(), "dropped while it runs");
    release.send(()).unwrap();
    dropped.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_signer_that_fails_is_quoted_and_asked_again() {
    let local = Local::start();
    let key = key_of(&local, DEVICE);
    let calls = AtomicUsize::new(0);
    let mut config = local.config(DEVICE);
    config.set_sas_signer(Arc::new(move |data| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Error::new(ErrorKind::Network, "the TPM is locked")),
        1 => panic!("on purpose"),
        2 => Ok(vec![7; 31]),
        _ => Ok(key.sign(data).to_vec()),
    }));
    let device = Recorded::new(config);
    let refusal = wait(device.client.connect().unwrap()).unwrap_err();
    assert_eq!(
        (refusal.kind(), refusal.detail()),
        (ErrorKind::Auth, "the SAS signer failed: the TPM is locked")
    );
    for part in ["the TPM is locked", "panicked", "gave 31 bytes"] {
        let status = device.fault();
        assert_eq!(status.cause, Some(Cause::Authentication));
        assert!(status.detail.contains(part), "{part:?} is not in {}", status.detail);
    }
    device.until(ConnectionState::Connected);
}

#[test]
fn a_signer_with_another_key_reads_as_a_wrong_key() {
    let local = Local::with(Options::default().device(DEVICE).device("other"));
    let mut config = local.config(DEVICE);
    signed_by(&mut config, key_of(&local, "other"));
    let device = Recorded::new(config);
    let refusal = wait(device.client.connect().unwrap()).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Auth);
    assert!(refusal.detail().contains("(CONNACK 5)"), "{refusal}");
    assert!(refusal.detail().contains("the clock of this machine, which says 20"), "{refusal}");
}

/// A client that cannot be told from one with a key, but for where its tokens come from.
#[test]
fn callbacks_stay_away_from_keys_and_certificates() {
    let mut config = Config::new();
    config.set_identity("localhost", DEVICE, None).unwrap();
    config.set_sas_signer(Arc::new(|_| Ok(b"SECRET".to_vec())));
    assert!(format!("{config:?}").contains("Signer"));
    config.set_sas_token_source(Arc::new(|| Ok("SECRET".into())));
    assert!(format!("{config:?}").contains("Source"));
    assert!(!format!("{config:?}").contains("SECRET"));
}

/// Tokens that live for a second, so that the connection is made anew after each 0.85 s, under telemetry that
/// never pauses and messages from the cloud.
#[test]
fn renewals_under_load_lose_double_and_reorder_nothing() {
    const RENEWALS: usize = 4;
    let local = Local::start();
    let key = key_of(&local, DEVICE);
    let resource = Identity::new("localhost", DEVICE, None).unwrap().sas_resource();
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let mut config = local.config(DEVICE);
    config.tuning.set_queue_limits(100, 1 << 20).unwrap();
    config.tuning.set_in_flight(20).unwrap();
    config.set_sas_token_source(Arc::new(move || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // After the renewals the test is over as soon as everything has arrived.
        let life = if count.fetch_add(1, Ordering::SeqCst) < RENEWALS { 1 } else { 600 };
        Ok(token(&resource, &key, now + life, None))
    }));
    let device = Recorded::new(config);
    let (sender, received) = mpsc::channel();
    let handler = move |message: &Message, _| {
        let body = String::from_utf8(message.body().to_vec()).unwrap();
        sender.send(body.parse::<usize>().unwrap()).unwrap();
        Ack::Now
    };
    device.client.on_message(Some(Box::new(handler))).unwrap();
    wait(device.client.connect().unwrap()).unwrap();

    let (mut sent, mut commands) = (Vec::new(), 0);
    let mut statuses = Vec::new();
    let (mut completed, mut telemetry) = (Vec::new(), Vec::new());
    let mut connections = 0;
    let mut sending = true;
    loop {
        // The queue is always full, so that a renewal finds messages in flight and others behind them.
        if sending {
            loop {
                match device.client.send(&Message::new(sent.len().to_string())) {
                    Ok(pending) => sent.push(pending),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Full);
                        break;
                    }
                }
            }
        }
        let next = local.events.recv_timeout(if sending { Duration::from_millis(1) } else { PATIENCE });
        for event in next.into_iter().chain(local.events.try_iter()) {
            match event["event"].as_str().unwrap() {
                "telemetry" => telemetry.push(event["body"].as_str().unwrap().parse::<usize>().unwrap()),
                "c2d" if event["state"] == "completed" => {
                    completed.push(event["message_id"].as_str().unwrap().parse::<usize>().unwrap());
                }
                "c2d" if event["state"] == "enqueued" || event["state"] == "abandoned" => {}
                "connected" => {
                    connections += 1;
                    assert_eq!(event["session_present"], connections > 1);
                }
                "refused" => panic!("{event}"),
                _ => {}
            }
        }
        statuses.extend(device.changes.try_iter());
        if sending && telemetry.len() / 500 > commands {
            local
                .hub
                .send_c2d(DEVICE, CloudMessage::new(commands.to_string()).with_id(&commands.to_string()))
                .unwrap();
            commands += 1;
        }
        sending = sending && connections <= RENEWALS;
        if !sending && telemetry.len() >= sent.len() && completed.len() >= commands {
            break;
        }
    }
    for pending in sent.drain(..) {
        wait(pending).unwrap();
    }
    let expected: Vec<_> = (0..telemetry.len()).collect();
    assert_eq!(telemetry, expected, "the hub has each message once, in order");
    assert_eq!(completed, (0..commands).collect::<Vec<_>>(), "each command is settled once, in order");
    let mut first_seen = Vec::new();
    for command in received.try_iter() {
        // One that was not settled before the end of a connection comes again.
        if !first_seen.contains(&command) {
            first_seen.push(command);
        }
    }
    assert_eq!(first_seen, completed);
    statuses.extend(device.changes.try_iter());
    let renewed = statuses.iter().filter(|status| status.cause == Some(Cause::Renewed)).count();
    assert_eq!((renewed, connections, given.load(Ordering::SeqCst)), (RENEWALS, RENEWALS + 1, RENEWALS + 1));
    for status in &statuses {
        assert!(matches!(status.cause, None | Some(Cause::Renewed)), "{status:?}");
    }
    println!("{} messages, {commands} commands, {renewed} renewals", telemetry.len());
}

/// A token that lives for a second, and what follows from its source after it.
fn source_with(
    config: &mut Config,
    local: &Local,
    next: impl FnMut(usize) -> Result<u64, Error> + Send + 'static,
) {
    let (key, calls) = (key_of(local, DEVICE), Mutex::new(0));
    let resource = Identity::new("localhost", DEVICE, None).unwrap().sas_resource();
    let next = Mutex::new(next);
    config.set_sas_token_source(Arc::new(move || {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        let life = next.lock().unwrap()(*calls)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Ok(token(&resource, &key, now + life, None))
    }));
}

#[test]
fn the_connection_serves_on_while_fresh_credentials_are_slow_or_refused() {
    let local = Local::start();
    let (tell, asked) = mpsc::channel();
    let (release, released) = mpsc::channel::<bool>();
    let mut config = local.config(DEVICE);
    source_with(&mut config, &local, move |call| {
        tell.send(call).unwrap_or_default();
        match call {
            1 => Ok(1),
            _ if released.recv() == Ok(true) => Ok(600),
            _ => Err(Error::new(ErrorKind::Network, "the key vault is away")),
        }
    });
    let device = Recorded::connected(config);
    assert_eq!(asked.recv_timeout(PATIENCE), Ok(1));
    for (call, good) in [(2, false), (3, false), (4, true)] {
        assert_eq!(asked.recv_timeout(PATIENCE), Ok(call));
        for _ in 0..5 {
            wait(device.client.send(&Message::new("meanwhile")).unwrap()).unwrap();
        }
        assert!(device.changes.try_recv().is_err(), "the connection did not last");
        release.send(good).unwrap();
    }
    let status = device.changes.recv_timeout(PATIENCE).unwrap();
    assert_eq!((status.state, status.cause), (ConnectionState::Connecting, Some(Cause::Renewed)));
    device.until(ConnectionState::Connected);
    // The token that was made ahead is the one that was used.
    assert!(asked.try_recv().is_err());
    assert_eq!(local.events.try_iter().filter(|event| event["event"] == "connected").count(), 2);
}

/// The token is being made when the connection breaks: the next connection waits for it, and asks no second time.
#[test]
fn a_connection_that_breaks_before_its_renewal_hands_the_work_on() {
    let local = Local::start();
    let (tell, asked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut config = local.config(DEVICE);
    source_with(&mut config, &local, move |call| {
        tell.send(call).unwrap_or_default();
        if call > 1 {
            released.recv().unwrap_or_default();
        }
        Ok(if call == 1 { 1 } else { 600 })
    });
    let device = Recorded::connected(config);
    assert_eq!([(); 2].map(|()| asked.recv_timeout(PATIENCE).unwrap()), [1, 2]);
    local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
    assert_ne!(device.fault().cause, Some(Cause::Renewed));
    release.send(()).unwrap();
    device.until(ConnectionState::Connected);
    assert!(asked.try_recv().is_err(), "asked again");
}

/// Nothing listens: what was made for one attempt is not kept for the next.
#[test]
fn each_attempt_asks_afresh() {
    let local = Local::start();
    let signer = held(key_of(&local, DEVICE));
    (0..100).for_each(|_| signer.release.send(()).unwrap());
    let mut config = local.config(DEVICE);
    config.set_sas_signer(signer.sign);
    config.tuning.set_port(1).unwrap();
    let device = Recorded::new(config);
    drop(device.client.connect().unwrap());
    for _ in 0..3 {
        signer.asked.recv_timeout(PATIENCE).unwrap();
        assert_eq!(device.fault().cause, Some(Cause::ConnectionRefused));
    }
}
