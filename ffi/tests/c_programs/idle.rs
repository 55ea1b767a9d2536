//! What an idle client costs, as the kernel sees it.

use std::path::Path;
use std::time::Duration;

use iothub_emulator::CloudMessage;

use crate::build::{Language, Link, compile};
use crate::lab::{DEVICE, Lab};
use crate::run::{Running, Under};

/// The program and its arguments under strace, which writes to `log`.
fn trace(program: &Path, log: &Path) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    ["-f", "-T", "-o", &text(log), &text(program)].map(str::to_owned).to_vec()
}

/// Silence is what is measured, so this waits for a while.
const SILENCE: Duration = Duration::from_secs(3);

#[test]
fn an_idle_client_asks_nothing_of_the_system() {
    let program = compile("manual_idle", Language::C, Link::Shared);
    let lab = Lab::with(Lab::addressed());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let arguments = trace(&program, &log);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut running = Running::start(Path::new("strace"), &arguments, Under::Nothing, &lab, &[]);
    running.hear("quiet");
    std::thread::sleep(SILENCE);
    lab.hub.send_c2d(DEVICE, CloudMessage::new("wake up")).unwrap();
    running.hear("woken");
    running.end();

    // Each line is a process, a call, and how long it took.
    let trace = std::fs::read_to_string(&log).unwrap();
    let mut lines = trace.lines().map(|line| line.split_once(' ').unwrap().1.trim_start());
    let mut until = |said: &str| {
        let said = format!("write(1, \"{said}\\n\"");
        lines.by_ref().take_while(|line| !line.starts_with(&said)).collect::<Vec<_>>()
    };
    until("busy");
    let busy = until("quiet");
    let woken = until("woken");
    assert!(woken[0].starts_with("poll("), "{woken:#?}");
    let waited = woken[0].rsplit(['<', '>']).nth(1).unwrap();
    assert!(waited.parse::<f64>().unwrap() >= SILENCE.as_secs_f64(), "woken for nothing: {woken:#?}");
    // A message: ring, wait, look, send; wait, look, receive.
    println!("{} system calls for 100 messages, {} for one received", busy.len(), woken.len());
    assert!(busy.len() <= 100 * 8 + 20, "{busy:#?}");
    assert!(woken.len() <= 10, "{woken:#?}");
    let starts_a_thread =
        |line: &&str| line.split_once(' ').is_some_and(|(_, call)| call.trim_start().starts_with("clone"));
    assert_eq!(trace.lines().find(starts_a_thread), None);
}
