//! The subcommands against a hub that runs.

#![allow(clippy::unwrap_used, clippy::panic)]

mod process;

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::sas::{SasToken, SharedAccessKey};
use process::{PROGRAM, Running, error_of, output_of};
use serde_json::{Value, json};

/// A subcommand that finds the hub by its directory.
fn command(hub: &Running, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--certs").arg(&hub.certs);
    command
}

fn json_of(hub: &Running, arguments: &[&str]) -> Value {
    serde_json::from_str(&output_of(&mut command(hub, arguments))).unwrap()
}

#[test]
fn they_find_the_hub_by_its_directory_as_long_as_it_runs() {
    let mut hub = Running::start(&["--device", "d"]);
    let file = hub.certs.join("running.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(written, hub.ready);

    output_of(&mut command(&hub, &["send", "d", "hello"]));
    assert_eq!(hub.event("c2d")["state"], "queued");
    let by_environment =
        output_of(Command::new(PROGRAM).args(["twin", "d"]).env("IOTHUB_EMULATOR_CERTS", &hub.certs));
    assert!(by_environment.contains("\"cloudToDeviceMessageCount\": 1"), "{by_environment}");

    drop(hub.child.stdin.take());
    hub.child.wait().unwrap();
    assert!(!file.exists());
    let error = error_of(&mut command(&hub, &["twin", "d"]));
    assert!(error.contains("no hub runs with --certs"), "{error}");
}

#[test]
fn what_goes_wrong_is_named() {
    let hub = Running::start(&["--device", "d", "--x509-ca", "x"]);
    let other = Running::start(&[]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    for (arguments, part) in [
        (&["twin", "nobody"][..], "the hub answered 404 Not Found: ErrorCode:DeviceNotFound"),
        (&["twin", "d", "set-tags", "{"], "the patch: is not JSON"),
        (&["twin", "d", "set-desired"], "need a JSON object"),
        (&["twin", "d", "get", "{}"], "get takes no JSON"),
        (&["method", "d", "m"], "404 Not Found: ErrorCode:DeviceNotOnline;d is not connected"),
        (&["fault", "explode"], "there is no fault 'explode'"),
        (&["send", "d", "x", "--property", "k"], "--property k: must be NAME=VALUE"),
        (&["send", "d/m", "x"], "modules get no cloud-to-device messages"),
        (&["send", "d", "x", "--expiry", "soon"], "must be a time like"),
        (&["connection-string", "nobody"], "DeviceNotFound"),
        (&["twin", "d", "--https-port", &nobody], "nobody listens on 127.0.0.1 port"),
        (&["twin", "d", "--ca", other.text("ca")], "was started with other --certs"),
        (&["twin", "d", "--ca", "/no/such/file"], "--ca /no/such/file"),
        (
            &["twin", "d", "--service", "HostName=localhost;SharedAccessKeyName=a;SharedAccessKey=AAAA"],
            "--ca is needed",
        ),
        (&["token", "nobody"], "DeviceNotFound"),
        (&["token", "x"], "x has no key"),
        (&["token", "--policy", "none"], "the hub has no such policy"),
    ] {
        let error = error_of(&mut command(&hub, arguments));
        assert!(error.contains(part), "{arguments:?}: {error}");
        assert!(!error.contains("SharedAccessKey="), "{error}");
    }
}

#[test]
fn twins_are_shown_and_changed() {
    let hub = Running::start(&["--device", "d", "--module", "d/m"]);
    let changed = json_of(&hub, &["twin", "d", "set-desired", r#"{"rate":5,"gone":1}"#]);
    assert_eq!(changed["properties"]["desired"]["rate"], 5);
    json_of(&hub, &["twin", "d", "set-desired", r#"{"gone":null}"#]);
    json_of(&hub, &["twin", "d/m", "set-tags", r#"{"floor":"2"}"#]);
    let device = json_of(&hub, &["twin", "d"]);
    assert_eq!(device["properties"]["desired"]["$version"], 3);
    assert!(device["properties"]["desired"].get("gone").is_none());
    assert_eq!(json_of(&hub, &["twin", "d/m", "get"])["tags"], json!({ "floor": "2" }));
}

#[test]
fn faults_wait_for_who_they_are_for() {
    let mut hub = Running::start(&["--device", "d"]);
    let armed = json_of(&hub, &["fault", "refuse", "--device", "d", "--count", "1", "--code", "2"]);
    assert_eq!(armed, json!({ "reached": 0 }));
    let topic = "devices/d/messages/events/";
    let refused = hub.mosquitto("mosquitto_pub", topic).args(["-m", "x"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(hub.event("refused")["return_code"], 2);
}

#[test]
fn tokens_let_in_who_they_are_for() {
    let mut hub = Running::start(&["--device", "d", "--module", "d/m"]);
    let token = |arguments: &[&str]| output_of(&mut command(&hub, &[&["token"], arguments].concat()));
    let parsed = |text: &str| text.trim_end().parse::<SasToken>().unwrap();
    let device = token(&["d"]);
    assert_eq!(parsed(&device).resource, "localhost%2Fdevices%2Fd");
    assert_eq!(parsed(&token(&["d/m"])).resource, "localhost%2Fdevices%2Fd%2Fmodules%2Fm");
    let key = |id: usize| {
        let text = hub.ready["devices"][id]["connection_string"].as_str().unwrap();
        let key = text.parse::<ConnectionString>().unwrap().shared_access_key.unwrap();
        SharedAccessKey::from_base64(&key).unwrap()
    };
    assert!(parsed(&token(&["d/m"])).verify(&key(1)));
    assert!(parsed(&token(&["d", "--expires-in", "-3600"])).is_expired(process::unix_now()));
    assert_eq!(parsed(&token(&[])).key_name.as_deref(), Some("iothubowner"));

    // curl judges the service's tokens, mosquitto the device's.
    let curl = |policy: &str, path: &str, status: &str| {
        let line = token(&["--policy", policy, "--curl", path]);
        let line = format!("{} --output /dev/null --write-out '%{{http_code}}'", line.trim_end());
        assert_eq!(output_of(Command::new("sh").args(["-c", &line])), status, "{policy} {path}");
    };
    curl("service", "/twins/d", "200");
    curl("device", "/twins/d", "401");
    curl("registryRead", "/devices?top=1", "200");
    curl("registryRead", "/devices?top=1&api-version=2020-03-13", "200");
    let sent = hub
        .mosquitto("mosquitto_pub", "devices/d/messages/events/")
        .args(["-m", "x", "-P", device.trim_end()])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(hub.event("telemetry")["body"], "x");
}

#[test]
fn a_second_hub_leaves_the_first_ones_file_alone() {
    let mut first = Running::start(&["--device", "d"]);
    let certs = first.certs.clone();
    let file = first.certs.join("running.json");
    let second = || {
        // Ends at once: its standard input does.
        let ports = ["--mqtt-port", "0", "--https-port", "0", "--exit-with-stdin", "--certs"];
        let output = Command::new(PROGRAM).args(ports).arg(&certs).stdin(Stdio::null()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let written = std::fs::read_to_string(&file).unwrap();
    let (line, warning) = second();
    assert!(
        line.contains("\"ready\"") && warning.contains("another hub runs with this --certs"),
        "{warning}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    output_of(&mut command(&first, &["twin", "d"]));

    // Killed without a chance to put anything in order.
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(file.exists());
    let (_, warning) = second();
    assert_eq!(warning, "");
    assert!(!file.exists());
}

#[test]
fn a_message_has_what_the_flags_say() {
    let mut hub = Running::start(&["--device", "d"]);
    let flags = [
        "--ack",
        "full",
        "--expiry",
        "2099-01-01T00:00:00Z",
        "--content-type",
        "text/x-a",
        "--correlation-id",
        "c-1",
    ];
    output_of(&mut command(&hub, &[&["send", "d", "x"][..], &flags].concat()));
    let subscriber = hub
        .mosquitto("mosquitto_sub", "devices/d/messages/devicebound/#")
        .args(["-C", "1", "-W", "20", "-v"])
        .output()
        .unwrap();
    let line = String::from_utf8(subscriber.stdout).unwrap();
    for part in ["%24.ct=text%2Fx-a", "%24.cid=c-1", "iothub-ack=full", "%24.exp=2099-01-01T00%3A00%3A00"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    hub.event("subscribed");
}

#[test]
fn a_connection_string_is_printed_bare() {
    let hub = Running::start(&["--device", "d", "--module", "d/m"]);
    for (at, id) in ["d", "d/m"].into_iter().enumerate() {
        let printed = output_of(&mut command(&hub, &["connection-string", id]));
        assert_eq!(printed.trim_end(), hub.ready["devices"][at]["connection_string"].as_str().unwrap());
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let hub = Running::start(&["--device", "d"]);
    let mut child =
        command(&hub, &["twin", "d"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
