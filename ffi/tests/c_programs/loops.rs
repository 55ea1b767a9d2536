//! The examples that bring a loop of their own, on the local hub.

use std::path::{Path, PathBuf};
use std::process::Command;

use iothub_emulator::CloudMessage;

use crate::build::{Language, compiler, library, root};
use crate::lab::{DEVICE, Lab};
use crate::run::{Running, Under};

fn pkg_config(package: &str) -> Vec<String> {
    let output = Command::new("pkg-config").args(["--cflags", "--libs", package]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

/// Compiles an example with what pkg-config says of the packages.
fn compile(name: &str, packages: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join(name);
    let mut compiler = compiler(Language::C);
    compiler.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2"]).arg("-I").arg(root().join("include"));
    compiler.arg(root().join(format!("examples/c/{name}.c"))).arg("-o").arg(&program);
    compiler.arg("-L").arg(library()).arg("-liothub_mqtt");
    compiler.args(packages.iter().flat_map(|package| pkg_config(package)));
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{name}:\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// The names of the threads but the first.
fn other_threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap());
    let others = tasks.filter(|task| task.file_name().to_string_lossy() != pid.to_string());
    others.map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap().trim().to_owned()).collect()
}

/// Sends, receives, survives a hub that goes away and comes back, and closes on SIGTERM; all without a
/// thread but those of `theirs`, which are those of the loop.
fn works(name: &str, packages: &[&str], theirs: &[&str]) {
    let program = compile(name, packages);
    let certs = tempfile::tempdir().unwrap();
    let options = Lab::lasting(certs.path());
    let mut lab = Lab::with(options.clone());
    let more = [
        ("IOTHUB_CONNECTION_STRING", lab.hub.connection_string(DEVICE).unwrap()),
        ("IOTHUB_PORT", lab.hub.mqtt_port().to_string()),
        ("IOTHUB_TRUSTED_ROOTS", lab.hub.ca_path().display().to_string()),
    ];
    let mut running = Running::start(&program, &["20"], Under::Nothing, &lab, &more);
    running.hear("state: connecting");
    running.hear("state: connected");
    for _ in 0..3 {
        running.hear("acknowledged");
    }
    assert_eq!(lab.event("telemetry")["system"]["content-type"], "application/json");
    lab.hub.send_c2d(DEVICE, CloudMessage::new("open the valve")).unwrap();
    running.hear("received: open the valve");
    while lab.event("c2d")["state"] != "completed" {}
    assert_eq!(other_threads(running.pid()), theirs);

    let port = lab.hub.mqtt_port();
    drop(lab);
    running.hear("state: connecting");
    // The first attempt to reconnect is over.
    running.hear("state: connecting");
    assert_eq!(other_threads(running.pid()), theirs);
    lab = Lab::with(iothub_emulator::Options { mqtt_port: port, ..options });
    running.hear("state: connected");
    running.hear("acknowledged");
    lab.event("telemetry");
    assert_eq!(other_threads(running.pid()), theirs);

    let kill = format!("kill -TERM {}", running.pid());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    running.hear("state: closed");
    assert_eq!(lab.event("disconnected")["code"], "client");
    running.end();
}

#[test]
fn poll() {
    works("poll", &[], &[]);
}

#[test]
fn epoll() {
    works("epoll", &[], &[]);
}

#[test]
fn libuv() {
    works("libuv", &["libuv"], &[]);
}

/// GLib handles signals on a thread of its own.
#[test]
fn glib() {
    works("glib", &["glib-2.0"], &["gmain"]);
}
