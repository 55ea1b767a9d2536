//! `iothub-emulator run`: a command with a hub of its own.

#![allow(clippy::unwrap_used, clippy::panic)]

mod process;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};

use process::{PROGRAM, output_of, scratch};

fn run(arguments: &[&str], script: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("run").args(arguments).args(["--", "sh", "-c", script]).stdin(Stdio::null());
    command
}

/// Starts `script`, which says its own process number first.
fn started(script: &str) -> (Child, u32, BufReader<std::process::ChildStdout>) {
    let mut child = run(&[], script).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    (child, line.trim_end().parse().unwrap(), lines)
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn the_command_meets_its_hub_by_the_environment() {
    let script = r#"
        set -e
        emulator=$0
        "$emulator" twin gauge-1 | grep -q '"deviceId": "gauge-1"'
        mosquitto_pub -h localhost -p "$IOTHUB_MQTT_PORT" --cafile "$IOTHUB_CA_FILE" -V mqttv311 -q 1 \
            -i gauge-1 -u "localhost/gauge-1/?api-version=2021-04-12" -P "$("$emulator" token gauge-1)" \
            -t devices/gauge-1/messages/events/ -m hello
        # Each event is written as soon as it has happened, by another process.
        until grep '"event":"telemetry"' "$IOTHUB_EVENTS"; do :; done
        test "$IOTHUB_CONNECTION_STRING" = "$IOTHUB_DEVICE_CONNECTION_STRING"
        test "$IOTHUB_PORT" = "$IOTHUB_MQTT_PORT"
        test -s "$IOTHUB_TRUSTED_ROOTS"
        echo "$IOTHUB_DEVICE_CONNECTION_STRING"
        echo "$IOTHUB_DEVICE_CONNECTION_STRING_OTHER"
        dirname "$IOTHUB_EVENTS"
        echo "$IOTHUB_DPS_ID_SCOPE $IOTHUB_DEVICE_DPS_ID_SCOPE $PROVISIONING_IDSCOPE $PROVISIONING_HOST"
        echo "$PROVISIONING_REGISTRATION_ID $PROVISIONING_SYMMETRIC_KEY $IOTHUB_DEVICE_DPS_DEVICE_ID"
    "#;
    let devices = ["--device", "gauge-1", "--device", "other=a2V5a2V5a2V5a2U="];
    let provisioning = ["--dps-scope", "0ne1", "--enroll", "r=a2V5a2V5a2V5a2V5a2V5aw=="];
    let mut command = run(&[devices, provisioning].concat(), script);
    let output = output_of(command.arg(PROGRAM));
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[0].contains(r#""body":"hello""#), "{output}");
    assert!(lines[1].starts_with("HostName=localhost;DeviceId=gauge-1;SharedAccessKey="), "{output}");
    assert_eq!(lines[2], "HostName=localhost;DeviceId=other;SharedAccessKey=a2V5a2V5a2V5a2U=");
    assert_eq!(lines[4..], ["0ne1 0ne1 0ne1 127.0.0.1", "r a2V5a2V5a2V5a2V5a2V5aw== r"], "{output}");
    assert!(!std::path::Path::new(lines[3]).exists(), "{} is left", lines[3]);
}

#[test]
fn the_status_is_the_commands() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let plain = |command: &str| {
        let mut run = Command::new(PROGRAM);
        run.args(["run", "--", command]).stdin(Stdio::null());
        run
    };
    for (mut command, status, text) in [
        (run(&[], "exit 0"), 0, ""),
        (run(&[], "exit 7"), 7, ""),
        (run(&[], "kill -SEGV $$"), 139, ""),
        (plain("/no/such/program"), 127, "/no/such/program"),
        (plain("/"), 126, "/: "),
        (run(&["--mqtt-port", &port], "exit 0"), 125, "is in use"),
        (run(&["--events", "-"], "exit 0"), 125, "the standard output is the command's"),
        (run(&["--device", "a b"], "exit 0"), 125, "an id has"),
    ] {
        let Output { status: ended, stderr, .. } = command.output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(ended.code(), Some(status), "{command:?}: {stderr}");
        assert!(stderr.contains(text) && stderr.is_empty() == text.is_empty(), "{command:?}: {stderr}");
    }
}

#[test]
fn signals_reach_the_command_and_what_it_started() {
    for (signal, number) in [("-TERM", 15), ("-INT", 2), ("-HUP", 1)] {
        // The inner shell ends with a status of its own; the outer one passes that on.
        let script = "trap : TERM INT HUP; \
             sh -c 'trap \"exit 40\" TERM INT HUP; echo $$; while :; do sleep 0.01; done'; exit $?";
        let (mut hub, _, mut lines) = started(script);
        kill(signal, hub.id());
        assert_eq!(hub.wait().unwrap().code(), Some(40), "{signal}");
        lines.read_to_string(&mut String::new()).unwrap();

        let (mut hub, _, _lines) = started("echo $$; exec sleep 1000");
        kill(signal, hub.id());
        assert_eq!(hub.wait().unwrap().code(), Some(128 + number), "{signal}");
    }
}

#[test]
fn the_command_dies_with_its_hub() {
    let (mut hub, _, mut lines) = started("echo $$; sleep 1000 & trap '' TERM; wait");
    hub.kill().unwrap();
    hub.wait().unwrap();
    // The pipe ends when everybody has ended who could write to it.
    lines.read_to_string(&mut String::new()).unwrap();
}

#[test]
fn a_directory_and_a_file_of_the_users_are_kept() {
    let certs = scratch("kept");
    let events = certs.with_extension("jsonl");
    let given = ["--certs", certs.to_str().unwrap(), "--events", events.to_str().unwrap()];
    output_of(&mut run(&given, "test -s \"$IOTHUB_CA_FILE\""));
    assert!(certs.join("ca.pem").exists() && !certs.join("running.json").exists() && events.exists());
    std::fs::remove_dir_all(certs).unwrap();
    std::fs::remove_file(events).unwrap();
}

#[test]
fn the_help_names_what_the_command_finds_and_no_default_of_the_hub_in_the_foreground() {
    let help = output_of(Command::new(PROGRAM).args(["run", "--help"]));
    for part in ["IOTHUB_CA_FILE", "IOTHUB_CONNECTION_STRING,", "125 ", "126 ", "127 ", "128+n "] {
        assert!(help.contains(part), "{part}: {help}");
    }
    for part in ["8883", "443", "emulator-certs"] {
        assert!(!help.contains(part), "{part}: {help}");
    }
}
