//! The program around a hub: its first line, its events, its end.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::descriptors;
use crate::error::StartError;
use crate::hub::Hub;
use crate::options::Options;
use crate::running::{Announced, Ready};

/// What the program is started with.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) options: Options,
    /// Where events go; `-` is the standard output.
    pub(crate) events: Option<PathBuf>,
    /// End when the standard input ends.
    pub(crate) exit_with_stdin: bool,
}

/// Runs a hub until a signal, or until the standard input ends.
pub(crate) fn run(program: Program) -> Result<(), StartError> {
    let Program { options, events, exit_with_stdin } = program;
    let failed = |what: &str, e: io::Error| StartError::new(format!("{what}: {e}"));
    // Opened before anything listens: a wrong path is an error at once.
    let sink: Option<Box<dyn Write + Send>> = match &events {
        None => None,
        Some(path) if path.as_os_str() == "-" => Some(Box::new(io::stdout())),
        Some(path) => {
            let file = File::create(path).map_err(|e| failed(&format!("--events {}", path.display()), e))?;
            Some(Box::new(file))
        }
    };
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

    let (hub, lines) = Hub::launch(options, |bus| sink.is_some().then(|| bus.lines()))?;
    let _announced = announce(&hub)?;
    let writer = match sink.zip(lines) {
        Some((sink, lines)) => Some(write_lines(sink, lines).map_err(|e| failed("a thread", e))?),
        None => None,
    };
    let stdin_end = watch_stdin(exit_with_stdin).map_err(|e| failed("a thread", e))?;
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = stdin_end, if exit_with_stdin => {}
        }
    });
    drop(hub);
    if let Some(writer) = writer {
        // Everything that happened is written before the program ends.
        let _ = writer.join();
    }
    Ok(())
}

/// Writes the first line, after the file that says the same: who reads the line finds the file.
fn announce(hub: &Hub) -> Result<Announced, StartError> {
    let failed = |what: &str, e: io::Error| StartError::new(format!("{what}: {e}"));
    let line = serde_json::to_string(&Ready::of(hub)).map_err(|e| failed("the first line", e.into()))?;
    let announced = Announced::write(hub, &line).map_err(|e| failed("--certs", e))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| failed("the standard output", e))?;
    Ok(announced)
}

/// Writes from a thread of its own, so that a slow disk or reader never holds up the hub.
fn write_lines(
    sink: Box<dyn Write + Send>,
    mut lines: UnboundedReceiver<Arc<str>>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("events".into()).spawn(move || {
        let mut out = BufWriter::new(sink);
        while let Some(line) = lines.blocking_recv() {
            let mut write = |line: &str| writeln!(out, "{line}");
            let mut written = write(&line);
            while written.is_ok()
                && let Ok(line) = lines.try_recv()
            {
                written = write(&line);
            }
            // Nobody reads any more: the hub goes on without.
            if written.and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    })
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
