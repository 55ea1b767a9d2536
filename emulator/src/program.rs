//! The program around a hub: its first line, its events, its end.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::descriptors;
use crate::error::StartError;
use crate::hub::Hub;
use crate::options::Options;
use crate::running::{Announced, Ready};
use crate::writer::write_lines;

const NOT_ANNOUNCED: &str = "another hub runs with this --certs; subcommands reach that one; say --certs DIR for a directory of its own";

/// What the program is started with.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) options: Options,
    /// Where events go; `-` is the standard output.
    pub(crate) events: Option<PathBuf>,
    /// End when the standard input ends.
    pub(crate) exit_with_stdin: bool,
    /// Say it for people, too, also where the standard output is no terminal.
    pub(crate) table: bool,
}

/// A hub whose events are written, and which the subcommands find.
pub(crate) struct Session {
    // First: a hub that goes away is not announced any more.
    _announced: Option<Announced>,
    hub: Hub,
    writer: Option<JoinHandle<()>>,
}

impl Session {
    /// Starts the hub; its events go to `events`, of which `-` is the standard output.
    pub(crate) fn start(options: Options, events: Option<&Path>) -> Result<(Self, Ready), StartError> {
        // Opened before anything listens: a wrong path is an error at once.
        let sink: Option<Box<dyn Write + Send>> = match events {
            None => None,
            Some(path) if path.as_os_str() == "-" => Some(Box::new(io::stdout())),
            Some(path) => {
                let file =
                    File::create(path).map_err(|e| failed(&format!("--events {}", path.display()), e))?;
                Some(Box::new(file))
            }
        };
        let (hub, lines) = Hub::launch(options, |bus| sink.is_some().then(|| bus.lines()))?;
        let ready = Ready::of(&hub);
        let announced = Announced::write(&hub, &ready.line()?).map_err(|e| failed("--certs", e))?;
        if announced.is_none() {
            let _ = writeln!(io::stderr(), "iothub-emulator: {NOT_ANNOUNCED}");
        }
        let writer = match sink.zip(lines) {
            Some((sink, lines)) => Some(write_lines(sink, lines).map_err(|e| failed("a thread", e))?),
            None => None,
        };
        Ok((Self { _announced: announced, hub, writer }, ready))
    }

    /// Stops the hub. Everything that happened is written when this returns.
    pub(crate) fn finish(self) -> Result<(), StartError> {
        let Self { _announced, hub, writer } = self;
        drop(_announced);
        let kept = hub.stop();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        kept.map_err(|why| StartError::new(format!("--state: the last changes are lost: {why}")))
    }
}

fn failed(what: &str, error: io::Error) -> StartError {
    StartError::new(format!("{what}: {error}"))
}

/// Runs a hub until a signal, or until the standard input ends.
pub(crate) fn run(program: Program) -> Result<(), StartError> {
    let Program { options, events, exit_with_stdin, table } = program;
    // Here alone: what is started by `run` has our limits, too, and asked for none.
    descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| failed("the runtime", e))?;
    // Before the first line: from there on a parent may send a signal.
    let (mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        let listen = |kind| signal(kind).map_err(|e| failed("signals", e));
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?)
    };

    let (session, ready) = Session::start(options, events.as_deref())?;
    announce(&ready)?;
    if table || io::stdout().is_terminal() {
        // Beside the line, which stays alone on its stream; nobody may be reading.
        let _ = io::stderr().write_all(ready.table().as_bytes());
    }
    let stdin_end = watch_stdin(exit_with_stdin).map_err(|e| failed("a thread", e))?;
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = stdin_end, if exit_with_stdin => {}
        }
    });
    session.finish()
}

/// Writes the first line.
fn announce(ready: &Ready) -> Result<(), StartError> {
    let line = ready.line()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| failed("the standard output", e))
}

/// Fires when the standard input ends.
fn watch_stdin(wanted: bool) -> io::Result<oneshot::Receiver<()>> {
    let (sender, receiver) = oneshot::channel();
    if wanted {
        std::thread::Builder::new().name("stdin".into()).spawn(move || {
            let mut buffer = [0; 256];
            while io::stdin().read(&mut buffer).is_ok_and(|n| n > 0) {}
            let _ = sender.send(());
        })?;
    }
    Ok(receiver)
}
