//! A command that lives no longer than the hub that it was started with.
//!
//! It gets a process group of its own, so that signals reach what it starts, too. Where it talks to
//! a terminal it stays in ours: another group could not read there, and Ctrl-C reaches it anyway.
//! A second process, the guard, holds the end of a pipe and ends the command when the hub dies
//! without having said so.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus, Stdio};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a command that it cannot start.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// What is added to the number of the signal that ended a command.
const SIGNALLED: i32 = 128;

/// Who a signal is for.
#[derive(Debug, Clone, Copy)]
enum Target {
    Group(Pid),
    Process(Pid),
}

impl Target {
    fn send(self, signal: Signal) {
        // It may have ended meanwhile.
        let _ = match self {
            Self::Group(leader) => kill_process_group(leader, signal),
            Self::Process(process) => kill_process(process, signal),
        };
    }
}

/// Why a command was not run to its end: the status to end with, and a text for people.
#[derive(Debug)]
pub(crate) struct NotRun {
    pub(crate) status: u8,
    pub(crate) text: String,
}

/// Runs `command` with `environment` beside our own; its exit status, 128 and the signal where one
/// ended it. SIGTERM, SIGINT, SIGHUP and SIGQUIT are passed on to it.
pub(crate) async fn run(command: &[OsString], environment: &[(String, String)]) -> Result<u8, NotRun> {
    let failed = |what: &str, e: io::Error| NotRun { status: NOT_EXECUTABLE, text: format!("{what}: {e}") };
    let Some((program, arguments)) = command.split_first() else {
        return Err(NotRun { status: NOT_FOUND, text: "there is no command".into() });
    };
    let on_terminal = io::stdin().is_terminal();
    // Before there is anybody to pass them on to: none may end us now.
    let listen = |kind| signal(kind).map_err(|e| failed("signals", e));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut quit = listen(SignalKind::quit())?;

    let mut process = Command::new(program);
    process.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    if !on_terminal {
        process.process_group(0);
    }
    let mut process = process.spawn().map_err(|error| NotRun {
        status: if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE },
        text: format!("{}: {error}", program.display()),
    })?;
    let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let target = pid.map(|pid| if on_terminal { Target::Process(pid) } else { Target::Group(pid) });
    let guard = match target {
        Some(target) => Some(guard(target).map_err(|e| failed("the guard", e))?),
        None => None,
    };
    let status = loop {
        let received = tokio::select! {
            status = process.wait() => break status.map_err(|e| failed("waiting", e))?,
            _ = terminate.recv() => Signal::TERM,
            _ = hangup.recv() => Signal::HUP,
            // A terminal has sent them to the command already.
            _ = interrupt.recv() => if on_terminal { continue } else { Signal::INT },
            _ = quit.recv() => if on_terminal { continue } else { Signal::QUIT },
        };
        if let Some(target) = target {
            target.send(received);
        }
    };
    if let Some(mut guard) = guard {
        if let Some(pipe) = &mut guard.stdin {
            // A guard that is gone has nothing left to do.
            let _ = pipe.write_all(b".").await;
        }
        let _ = guard.wait().await;
    }
    Ok(exit_code(status))
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

fn guard(target: Target) -> io::Result<tokio::process::Child> {
    let (kind, pid) = match target {
        Target::Group(leader) => ("--group", leader),
        Target::Process(process) => ("--process", process),
    };
    Command::new(std::env::current_exe()?)
        .args(["guard", kind, &pid.as_raw_nonzero().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// The guard's own command line; nobody else calls it.
#[derive(Debug, Args)]
pub(crate) struct Guard {
    #[arg(long, conflicts_with = "process")]
    group: Option<i32>,
    #[arg(long)]
    process: Option<i32>,
}

impl Guard {
    pub(crate) fn run(&self) -> ExitCode {
        let said = io::stdin().read(&mut [0]);
        let group = self.group.and_then(Pid::from_raw).map(Target::Group);
        let target = group.or_else(|| self.process.and_then(Pid::from_raw).map(Target::Process));
        if let Some(target) = target
            && !matches!(said, Ok(1))
        {
            target.send(Signal::KILL);
        }
        ExitCode::SUCCESS
    }
}
