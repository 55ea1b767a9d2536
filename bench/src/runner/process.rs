//! One run of one contender.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::contenders::{Contender, Driver};
use crate::Failure;
use crate::measure::{Measurement, process_cpu};
use crate::sink::Sink;

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    peer: PathBuf,
    folder: PathBuf,
}

impl Programs {
    /// Beside this program, and in the folder `bench` beside its folder (`target/bench`).
    ///
    /// # Errors
    /// The system does not say where this program is.
    pub fn find() -> Result<Self, Failure> {
        let here = env::current_exe()?;
        let built = here.parent().ok_or("this program has no folder")?;
        let target = built.parent().ok_or("this program's folder has no parent")?;
        Ok(Self { peer: built.join("bench-peer"), folder: target.join("bench") })
    }

    /// Where C contenders are and results go.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How to start a contender, or why it cannot take part.
    ///
    /// # Errors
    /// It is not built.
    pub fn command(&self, contender: &Contender) -> Result<Command, String> {
        let (program, arguments) = match contender.driver {
            Driver::Rust(name) => (self.peer.clone(), [name].to_vec()),
            Driver::Program(name, arguments) => (self.folder.join(name), arguments.to_vec()),
        };
        if !program.is_file() {
            return Err(format!("not built ({})", program.display()));
        }
        let mut command = Command::new(program);
        command.args(arguments);
        Ok(command)
    }
}

/// What each contender is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Messages to publish.
    pub count: u64,
    /// Bytes in a message.
    pub size: usize,
}

/// What a run cost the client, and the hub meanwhile.
#[derive(Debug, Clone)]
pub struct Run {
    pub client: Measurement,
    /// CPU of the hub, the handshake included.
    pub hub_cpu: Duration,
}

/// Longer than the slowest contender needs for the default load.
const DEADLINE: Duration = Duration::from_secs(120);

/// Runs one contender to its end.
///
/// # Errors
/// It cannot be started, fails, prints something else than its line, or takes longer than two minutes.
pub fn run(mut command: Command, contender: &Contender, load: Load, sink: &Sink) -> Result<Run, Failure> {
    command.args(["--host", "localhost", "--port", &sink.port().to_string(), "--ca"]).arg(sink.ca());
    command.args(["--count", &load.count.to_string(), "--size", &load.size.to_string()]);
    command.args(["--window", &contender.window.to_string()]);
    // The hub is this process, and everything else in it waits.
    let before = process_cpu();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let printed = output(child)?;
    let hub_cpu = process_cpu().saturating_sub(before);
    Ok(Run { client: Measurement::from_line(printed.trim())?, hub_cpu })
}

fn output(mut child: Child) -> Result<String, Failure> {
    let stdout = child.stdout.take().ok_or("no output to read")?;
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || sender.send(std::io::read_to_string(stdout)));
    let Ok(printed) = receiver.recv_timeout(DEADLINE) else {
        child.kill()?;
        child.wait()?;
        return Err(format!("not done after {} s", DEADLINE.as_secs()).into());
    };
    let status = child.wait()?;
    // It has sent, so it is ending.
    let _ = reader.join();
    if !status.success() {
        return Err(format!("the contender ended with {status}").into());
    }
    Ok(printed?)
}
