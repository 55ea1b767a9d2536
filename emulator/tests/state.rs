//! `--state`: what a hub that ends, or is killed, leaves for the next one.

#![allow(clippy::unwrap_used, clippy::panic)]

mod process;
mod support;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use iothub_emulator::{CloudMessage, Options};
use process::{PROGRAM, Running, error_of, output_of, scratch};
use rumqttc::mqttbytes::QoS;
use serde_json::{Value, json};
use support::{Client, start};

fn twin(hub: &Running, arguments: &[&str]) -> Value {
    let output = output_of(Command::new(PROGRAM).arg("twin").args(arguments).arg("--certs").arg(&hub.certs));
    serde_json::from_str(&output).unwrap()
}

#[test]
fn a_killed_hub_leaves_a_whole_state() {
    /// What is written before the hub may be killed, and how often that is tried.
    const ENOUGH: usize = 20;
    /// So many messages that the queue, which holds 50, is never full.
    const MESSAGES: u64 = 40;
    let state = scratch("state");
    let arguments = ["--device", "d", "--state", state.to_str().unwrap()];
    let mut least = 0;
    for round in 0..3 {
        let mut hub = Running::start(&arguments);
        let kept = twin(&hub, &["d"]);
        // Each change of the desired properties says how often they were changed before.
        let number = kept["properties"]["desired"]["n"].as_u64().unwrap_or(0);
        assert_eq!(kept["properties"]["desired"]["$version"], number + 1);
        // A message goes before each change, so that each kill may leave one more.
        let messages = kept["cloudToDeviceMessageCount"].as_u64().unwrap();
        assert!(
            (number.min(MESSAGES)..=number.min(MESSAGES) + round).contains(&messages),
            "{messages} at {number}"
        );
        assert!(number >= least, "{number} of {least}");
        least = number;

        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in number + 1.. {
                    let command = |name: &str, argument: &str, last: &str| {
                        let mut command = Command::new(PROGRAM);
                        command.args([name, "d", argument, last]).arg("--certs").arg(&hub.certs);
                        command.stderr(Stdio::null()).stdout(Stdio::null()).status().unwrap().success()
                    };
                    if n <= MESSAGES && !command("send", &n.to_string(), "--property=k=v")
                        || !command("twin", "set-desired", &format!(r#"{{"n":{n}}}"#))
                    {
                        return;
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
            while done.load(Ordering::Relaxed) < ENOUGH && !writer.is_finished() {
                std::thread::yield_now();
            }
            assert!(
                Command::new("kill").args(["-KILL", &hub.child.id().to_string()]).status().unwrap().success()
            );
        });
        assert!(done.into_inner() >= ENOUGH, "the hub did not take it all");
        assert_eq!(hub.child.wait().unwrap().signal(), Some(9));
    }
    assert!(least > 0, "nothing was kept");
    std::fs::remove_dir_all(state).unwrap();
}

#[test]
fn a_session_goes_on_with_the_next_hub() {
    let dir = scratch("session");
    let options =
        || Options { state: Some(dir.clone()), certs: Some(dir.join("certs")), ..Options::default() };
    let (hub, _) = start(options().device("d").device("e"));
    let filter = "devices/d/messages/devicebound/#";
    let mut client = Client::connect(&hub, "d");
    client.subscribe(filter, QoS::AtLeastOnce);
    hub.send_c2d("d", CloudMessage::new("one").with_id("1")).unwrap();
    let first = client.expect_publish();
    drop(client);
    let (mut clean, _) = Client::connect_with(&hub, "e", |connect| connect.clean_session = true);
    clean.subscribe("devices/e/messages/devicebound/#", QoS::AtLeastOnce);
    drop(hub);

    let (hub, events) = start(options());
    let (mut client, present) = Client::connect_with(&hub, "d", |_| ());
    assert!(present);
    // Sent again under its number, as in any resumed session; the subscription is there, too.
    let again = client.expect_publish();
    assert!(again.dup);
    assert_eq!((again.pkid, &again.topic, &again.payload), (first.pkid, &first.topic, &first.payload));
    client.acknowledge(again.pkid);
    let settled = events.find("c2d", |event| event["state"] == "completed");
    assert_eq!(settled["delivery_count"], 2);
    hub.send_c2d("d", CloudMessage::new("two")).unwrap();
    assert_eq!(client.expect_publish().payload, "two");
    assert!(!Client::connect_with(&hub, "e", |_| ()).1, "CleanSession 1 keeps nothing");
    drop(hub);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn two_programs_do_not_share_a_directory() {
    let state = scratch("shared");
    let arguments = ["--device", "d", "--state", state.to_str().unwrap()];
    let mut hub = Running::start(&arguments);
    let mut second = Command::new(PROGRAM);
    let certs = hub.certs.join("second");
    second.args(["--mqtt-port", "0", "--https-port", "0", "--certs"]).arg(&certs).args(arguments);
    let error = error_of(&mut second);
    assert!(error.contains("another hub runs with it"), "{error}");

    // What a hub has done last is kept where it ends as it should.
    twin(&hub, &["d", "set-tags", r#"{"last":true}"#]);
    drop(hub.child.stdin.take());
    assert!(hub.child.wait().unwrap().success());
    let next = Running::start(&arguments);
    assert_eq!(twin(&next, &["d"])["tags"], json!({ "last": true }));
    drop(next);
    std::fs::remove_dir_all(state).unwrap();
}

/// A file cannot grow beyond the limit, which stands for a disk that is full.
fn limit_files(hub: &Running, bytes: Option<u64>) {
    let pid = rustix::process::Pid::from_raw(hub.child.id().try_into().unwrap());
    let limit = rustix::process::Rlimit { current: bytes, maximum: None };
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit).unwrap();
}

#[test]
fn a_disk_that_was_full_is_written_to_again() {
    let state = scratch("full");
    let arguments = ["--device", "d", "--state", state.to_str().unwrap()];
    let mut command = Command::new("sh");
    // Without the signal that comes with this limit.
    command.args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh", PROGRAM]);
    let mut hub = Running::start_by(command, &arguments);
    twin(&hub, &["d", "set-tags", r#"{"a":1}"#]);
    limit_files(&hub, Some(4096));
    for tags in [r#"{"b":1}"#, r#"{"c":1}"#] {
        twin(&hub, &["d", "set-tags", tags]);
        hub.event("state");
    }
    limit_files(&hub, None);
    twin(&hub, &["d", "set-tags", r#"{"d":1}"#]);
    drop(hub.child.stdin.take());
    assert!(hub.child.wait().unwrap().success(), "everything is kept in the end");

    let next = Running::start(&arguments);
    assert_eq!(twin(&next, &["d"])["tags"], json!({ "a": 1, "b": 1, "c": 1, "d": 1 }));
    drop(next);
    std::fs::remove_dir_all(state).unwrap();
}
