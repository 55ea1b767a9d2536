//! `--config` and `--faults` as files.

#![allow(clippy::unwrap_used, clippy::panic)]

mod process;

use std::path::Path;
use std::process::Command;

use process::{PROGRAM, Running, error_of, output_of, scratch};
use serde_json::Value;

/// The example in a directory of its own, beside which it writes.
fn example() -> String {
    let dir = scratch("example");
    std::fs::create_dir(&dir).unwrap();
    let copy = dir.join("hub.toml");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("hub.toml"), &copy).unwrap();
    copy.to_str().unwrap().to_owned()
}

fn file(name: &str, text: &str) -> String {
    let path = scratch(name).with_extension("toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_example_starts_and_the_command_line_wins() {
    let key = "gateway=YW5vdGhlci1wcmltYXJ5LWtleQ==";
    let hub =
        Running::start(&["--config", &example(), "--device", key, "--device", "gauge-1", "--device", "new"]);
    let devices = hub.ready["devices"].as_array().unwrap();
    let ids: Vec<&str> = devices.iter().map(|device| device["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["gateway", "gateway/filter", "gateway/reader", "gauge-1", "meter-7", "new"]);
    let gateway = "HostName=localhost;DeviceId=gateway;SharedAccessKey=YW5vdGhlci1wcmltYXJ5LWtleQ==";
    assert_eq!(devices[0]["connection_string"], gateway);
    let twin = |id: &str| -> Value {
        let text = output_of(Command::new(PROGRAM).args(["twin", id, "--certs"]).arg(&hub.certs));
        serde_json::from_str(&text).unwrap()
    };
    let gauge = twin("gauge-1");
    assert_eq!(gauge["tags"]["building"], "43");
    assert_eq!(gauge["properties"]["desired"]["rate"], 5);
    assert_eq!(gauge["properties"]["reported"]["firmware"], "1.0");
    assert_eq!(twin("gateway")["capabilities"]["iotEdge"], true);
    assert_eq!(
        twin("meter-7")["x509Thumbprint"]["primaryThumbprint"],
        "0123456789ABCDEF0123456789ABCDEF01234567"
    );
}

#[test]
fn errors_name_the_file_and_the_line() {
    let config = file("wrong", "name = 'a'\n[[devices]]\nid = 'd'\nkey = 'x'\n");
    let faults = file("wrong", "[[fault]]\nname = 'drop'\nfor-ms = 1\n");
    for (arguments, part) in [
        (["--config", &config], format!("--config {config} line 2: d: ")),
        (["--faults", &faults], format!("--faults {faults} line 1: for_ms goes with")),
        (["--config", "/no/such/file"], "--config /no/such/file: No such file".to_owned()),
    ] {
        let error = error_of(Command::new(PROGRAM).args(arguments));
        assert!(error.contains(&part), "{error}");
    }
}

#[test]
fn faults_come_at_their_times_and_again() {
    let faults =
        file("faults", "[[fault]]\nname = 'refuse'\ndevice = 'd'\ncode = 2\nat-ms = 1\nevery-ms = 1\n");
    let hub = Running::start(&["--device", "d", "--device", "e", "--faults", &faults]);
    let status = || {
        let mut client = hub.mosquitto("mosquitto_pub", "devices/d/messages/events/");
        client.args(["-m", "x"]).output().unwrap().status.code()
    };
    // Armed again and again, so that one comes after any CONNECT that was let in.
    for _ in 0..2 {
        while status() != Some(2) {}
    }
}

#[test]
fn a_table_stands_beside_the_first_line() {
    let certs = scratch("table");
    let output = Command::new(PROGRAM)
        .args([
            "--mqtt-port",
            "0",
            "--https-port",
            "0",
            "--exit-with-stdin",
            "--table",
            "--device",
            "gauge-1",
        ])
        .arg("--certs")
        .arg(&certs)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let ready: Value = serde_json::from_slice(&output.stdout).unwrap();
    let table = String::from_utf8(output.stderr).unwrap();
    let gauge = ready["devices"][0]["connection_string"].as_str().unwrap();
    assert!(table.contains(&format!("\ngauge-1    {gauge}\n")), "{table}");
    assert!(table.contains(ready["service_connection_string"].as_str().unwrap()), "{table}");
    std::fs::remove_dir_all(certs).unwrap();
}
