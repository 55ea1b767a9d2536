//! The sink as a program, to try a client by hand. Prints one JSON line when it listens; ends when its input does.

use std::io::{Write as _, stdin, stdout};

use clap::Parser;
use iothub_bench::Failure;
use iothub_bench::sink::{Sink, TlsVersion};
use serde_json::json;

#[derive(Parser)]
struct Arguments {
    /// The TLS version to accept.
    #[arg(long, value_enum, default_value = "1.3")]
    tls: TlsVersion,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let sink = Sink::start(arguments.tls)?;
    let ready = json!({"event": "ready", "host": "localhost", "port": sink.port(), "ca": sink.ca()});
    writeln!(stdout(), "{ready}")?;
    std::io::copy(&mut stdin(), &mut std::io::sink())?;
    Ok(())
}
