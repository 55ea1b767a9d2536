//! What the README shows in C is compiled and run as it stands, against a hub at the standard port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use iothub_emulator::Options;
use iothub_tests::Local;

/// The first block of `language` in the README.
fn snippet(language: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("```{language}\n")).expect("no such block");
    rest.split_once("```").unwrap().0.to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn the_device_in_c() {
    let folder = tempfile::tempdir().unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "iothub-mqtt-ffi", "--target-dir"]).arg(target);
    assert!(cargo.current_dir(root()).status().unwrap().success());

    let (source, program) = (folder.path().join("device.c"), folder.path().join("device"));
    std::fs::write(&source, snippet("c")).unwrap();
    let libraries = target.join("debug");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-o"]).args([&program, &source]);
    compiler
        .arg("-I")
        .arg(root().join("include"))
        .arg("-L")
        .arg(&libraries)
        .args(["-liothub_mqtt", "-pthread"]);
    assert!(compiler.status().unwrap().success(), "the README's C does not compile");

    // A loopback address of its own, since the snippet names no port.
    let address = "127.0.0.83";
    let options =
        Options { host: address.into(), name: address.into(), mqtt_port: 8883, ..Options::default() };
    let local = Local::with(options.device("gauge-1"));
    let output = Command::new(&program)
        .env("IOTHUB_CONNECTION_STRING", local.hub.connection_string("gauge-1").unwrap())
        .env("SSL_CERT_FILE", local.hub.ca_path())
        .env("LD_LIBRARY_PATH", &libraries)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "IOTHUB_OK \n", "{output:?}");
    let event = local.event("telemetry");
    assert_eq!((&event["body"], &event["properties"]["alert"]), (&"{\"t\":21.5}".into(), &"no".into()));

    // Without a connection string it says what is missing.
    let output = Command::new(&program)
        .env_remove("IOTHUB_CONNECTION_STRING")
        .env("LD_LIBRARY_PATH", &libraries)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("NULL"), "{output:?}");
}
