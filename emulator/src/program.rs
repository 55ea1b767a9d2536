//! The program around a hub: its first line, its events, its end.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::dps::Summary;
use crate::error::StartError;
use crate::hub::Hub;
use crate::options::Options;

#[derive(Serialize)]
struct Ready<'a> {
    event: &'static str,
    host: String,
    mqtt_port: u16,
    https_port: u16,
    ca: &'a Path,
    service_connection_string: String,
    devices: Vec<Device>,
    dps: Summary,
}

#[derive(Serialize)]
struct Device {
    id: String,
    connection_string: Option<String>,
}

/// Runs a hub until a signal, or with `exit_with_stdin` until the standard input ends.
pub(crate) fn run(options: Options, events: Option<&Path>, exit_with_stdin: bool) -> Result<(), StartError> {
    let failed = |what: &str, e: io::Error| StartError::new(format!("{what}: {e}"));
    // Opened before anything listens: a wrong path is an error at once.
    let sink: Option<Box<dyn Write + Send>> = match events {
        None => None,
        Some(path) if path == Path::new("-") => Some(Box::new(io::stdout())),
        Some(path) => {
            let file = File::create(path).map_err(|e| failed(&format!("--events {}", path.display()), e))?;
            Some(Box::new(file))
        }
    };
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
    announce(&hub).map_err(|e| failed("the standard output", e))?;
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

fn announce(hub: &Hub) -> io::Result<()> {
    let devices = hub.identities().into_iter().map(|identity| {
        let id = identity.to_string();
        Device { connection_string: hub.connection_string(&id), id }
    });
    let ready = Ready {
        event: "ready",
        host: hub.mqtt_address().ip().to_string(),
        mqtt_port: hub.mqtt_port(),
        https_port: hub.https_port(),
        ca: hub.ca_path(),
        service_connection_string: hub.service_connection_string(),
        devices: devices.collect(),
        dps: hub.provisioning(),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&ready)?)?;
    out.flush()
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
