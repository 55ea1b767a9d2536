//! A command that lives no longer than the hub that it was started with.
//!
//! It is born into the process group of a second process, the guard, which holds the end of a pipe
//! and ends the group when the hub dies without having said so. Signals go to the group, so that
//! they reach what the command has started, too. Where the command talks to a terminal it stays in
//! our group and has no guard: another group could not read there, and Ctrl-C reaches it anyway.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_current_process_group, kill_process, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a command that it cannot start.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// What is added to the number of the signal that ended a command.
const SIGNALLED: i32 = 128;

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

    let guard = match on_terminal {
        true => None,
        false => Some(Guarded::start().await.map_err(|e| failed("the guard", e))?),
    };
    let mut process = Command::new(program);
    process.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    if let Some(guard) = &guard {
        process.process_group(guard.group.as_raw_nonzero().get());
    }
    let mut process = process.spawn().map_err(|error| NotRun {
        status: if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE },
        text: format!("{}: {error}", program.display()),
    })?;
    let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let status = loop {
        let received = tokio::select! {
            status = process.wait() => break status.map_err(|e| failed("waiting", e))?,
            _ = terminate.recv() => Signal::TERM,
            _ = hangup.recv() => Signal::HUP,
            // A terminal has sent them to the command already.
            _ = interrupt.recv() => if on_terminal { continue } else { Signal::INT },
            _ = quit.recv() => if on_terminal { continue } else { Signal::QUIT },
        };
        // Who is meant may have ended meanwhile.
        let _ = match (&guard, pid) {
            (Some(guard), _) => kill_process_group(guard.group, received),
            (None, Some(pid)) => kill_process(pid, received),
            (None, None) => Ok(()),
        };
    };
    if let Some(guard) = guard {
        guard.dismiss().await;
    }
    Ok(exit_code(status))
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// A guard at its post. It ends its group when this is dropped.
struct Guarded {
    process: Child,
    group: Pid,
}

impl Guarded {
    async fn start() -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("guard")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let group = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (Some(group), Some(stdout)) = (group, &mut process.stdout) else {
            return Err(io::Error::other("it ended at once"));
        };
        // From here on it outlives the signals that are passed on.
        stdout.read_exact(&mut [0]).await?;
        Ok(Self { process, group })
    }

    /// Ends the guard alone.
    async fn dismiss(mut self) {
        if let Some(pipe) = &mut self.process.stdin {
            // A guard that is gone has nothing left to do.
            let _ = pipe.write_all(b".").await;
        }
        let _ = self.process.wait().await;
    }
}

/// What the guard does; it ends with everybody in its group, unless it is dismissed.
pub(crate) fn guard() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let said = runtime.block_on(async {
        // To be listened for is not to end by them.
        let passed_on =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
        let _listening = passed_on.map(signal);
        io::stdout().write_all(b".").and_then(|()| io::stdout().flush())?;
        io::stdin().read(&mut [0])
    });
    if !matches!(said, Ok(1)) {
        let _ = kill_current_process_group(Signal::KILL);
    }
    ExitCode::SUCCESS
}
