//! The program as a process of its own.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_iothub-emulator");

pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
    pub(crate) ready: Value,
    pub(crate) certs: PathBuf,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_by(Command::new(PROGRAM), arguments)
    }

    /// Where `command` is the program or ends in becoming it.
    pub(crate) fn start_by(mut command: Command, arguments: &[&str]) -> Self {
        let certs = scratch("certs");
        let mut child = command
            .args(["--mqtt-port", "0", "--https-port", "0", "--events", "-", "--exit-with-stdin", "--certs"])
            .arg(&certs)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        Self { child, lines, ready, certs }
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap()
    }

    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.lines.next().expect_event(name);
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// mosquitto's client `program` as the device `d`, whose topic is `topic`.
    pub(crate) fn mosquitto(&self, program: &str, topic: &str) -> Command {
        let device: ConnectionString =
            self.ready["devices"][0]["connection_string"].as_str().unwrap().parse().unwrap();
        let key = SharedAccessKey::from_base64(&device.shared_access_key.unwrap()).unwrap();
        let token = sas::token("localhost%2Fdevices%2Fd", &key, unix_now() + 600, None);
        let mut command = Command::new(program);
        command.args([
            "-h",
            "localhost",
            "-p",
            &self.ready["mqtt_port"].to_string(),
            "--cafile",
            self.text("ca"),
        ]);
        command.args(["-i", "d", "-u", "localhost/d/?api-version=2021-04-12", "-P", &token]);
        command.args(["-V", "mqttv311", "-q", "1", "-t", topic]);
        command
    }
}

trait ExpectEvent {
    fn expect_event(self, name: &str) -> String;
}

impl ExpectEvent for Option<std::io::Result<String>> {
    fn expect_event(self, name: &str) -> String {
        self.unwrap_or_else(|| panic!("the program ended before the event {name}")).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.certs);
    }
}

/// A path that no other test uses; nothing is there.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()))
}

/// What the program says on its standard output.
pub(crate) fn output_of(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// What it says on its standard error where it fails.
pub(crate) fn error_of(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}
