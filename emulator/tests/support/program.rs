//! The program as a process of its own, and what the system says about it.

#![allow(dead_code)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

/// Only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Program {
    child: Child,
    pub(crate) ready: Value,
    /// What comes after the first line; taken by whoever reads the events.
    pub(crate) lines: Option<BufReader<ChildStdout>>,
    pub(crate) stderr: Option<ChildStderr>,
    certs: PathBuf,
}

impl Program {
    pub(crate) fn start(arguments: &[String]) -> Self {
        static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let certs = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("program-certs-{}-{number}", std::process::id()));
        let mut child = Command::new(env!("CARGO_BIN_EXE_iothub-emulator"))
            .args(["--mqtt-port", "0", "--https-port", "0", "--exit-with-stdin", "--certs"])
            .arg(&certs)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let ready = serde_json::from_str(&first).expect("a first line");
        let stderr = child.stderr.take();
        Self { child, ready, lines: Some(lines), stderr, certs }
    }

    fn address(&self, port: &str) -> SocketAddr {
        let port = u16::try_from(self.ready[port].as_u64().unwrap()).unwrap();
        SocketAddr::new(self.ready["host"].as_str().unwrap().parse().unwrap(), port)
    }

    pub(crate) fn mqtt(&self) -> SocketAddr {
        self.address("mqtt_port")
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.address("https_port")
    }

    pub(crate) fn ca_pem(&self) -> String {
        fs::read_to_string(self.ready["ca"].as_str().unwrap()).unwrap()
    }

    pub(crate) fn connection_string(&self, device: usize) -> &str {
        self.ready["devices"][device]["connection_string"].as_str().unwrap()
    }

    fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }

    /// Resident memory that is the process's own, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let status = fs::read_to_string(self.proc().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
    }

    /// The time that its threads have had on a processor.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(self.proc().join("task")).unwrap();
        let nanoseconds = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc().join("fd")).unwrap().count()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until no more than `count` descriptors are open: a closed socket is gone a moment after
    /// its peer has read the end.
    pub(crate) fn settle(&self, count: usize) {
        let patience = Instant::now() + PATIENCE;
        while self.descriptors() > count {
            assert!(Instant::now() < patience, "{} descriptors, {count} before", self.descriptors());
            std::thread::yield_now();
        }
    }

    /// Ends it as its parent's death would.
    pub(crate) fn stop(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.certs);
    }
}

/// As many descriptors for this process as it is allowed.
pub(crate) fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
