//! The command line; one file for each subcommand.

mod connection_string;
mod fault;
mod help;
mod method;
mod output;
mod reach;
mod run;
mod send;
mod serve;
mod service;
mod token;
mod twin;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::child;
use crate::settings::Settings;

/// A local Azure IoT Hub for development and tests.
///
/// The first line on the standard output is a JSON object that says where the hub listens, which
/// file holds the certificate authority that clients have to trust, and the connection strings.
#[derive(Debug, Parser)]
#[command(
    name = "iothub-emulator",
    version,
    args_conflicts_with_subcommands = true,
    after_long_help = format!("{}\n\n{}", help::MORE, Settings::help())
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    foreground: serve::Foreground,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a command with a hub of its own, and end with its status.
    #[command(
        after_help = help::RUN,
        mut_arg("mqtt_port", |port| port.help("The port of MQTT over TLS; a free one where it is not given")),
        mut_arg("https_port", |port| {
            port.help("The port of HTTPS and of MQTT over WebSocket; a free one where it is not given")
        }),
        mut_arg("certs", |certs| {
            certs.help(
                "Where the certificates and the secret of the made-up keys are kept; a temporary \
                 directory where it is not given",
            )
        }),
        mut_arg("events", |events| events.help("Where to write one JSON line for each event; a temporary file where it is not given").value_name("FILE")),
        mut_arg("settings", |settings| {
            settings.help(
                "A behaviour where the sources on IoT Hub are open or disagree; may be repeated. \
                 iothub-emulator --help lists them all",
            )
        })
    )]
    Run(Box<run::Run>),
    /// Send a cloud-to-device message through a running hub.
    Send(send::Send),
    /// Call a direct method of a device or module; prints its answer.
    Method(method::Method),
    /// Show or change the twin of a device or module.
    Twin(twin::Twin),
    /// Arm a fault.
    Fault(fault::Arm),
    /// Make a SAS token, for a device, a module or a back-end.
    Token(token::Token),
    /// Print the connection string of a device or module of a running hub.
    ConnectionString(connection_string::ConnectionString),
    /// What `run` starts beside its command.
    #[command(hide = true)]
    Guard,
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        None => cli.foreground.run(),
        Some(Command::Run(run)) => return run.run(),
        Some(Command::Guard) => return child::guard(),
        Some(Command::Send(send)) => send.run(),
        Some(Command::Method(method)) => method.run(),
        Some(Command::Twin(twin)) => twin.run(),
        Some(Command::Fault(arm)) => arm.run(),
        Some(Command::Token(token)) => token.run(),
        Some(Command::ConnectionString(connection_string)) => connection_string.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("iothub-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::faults::FaultKind;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_knows_every_fault() {
        let help = Cli::command().render_long_help().to_string();
        for (name, _) in FaultKind::NAMES {
            let stated = help.lines().any(|line| line.split([',', ' ']).any(|word| word == name));
            assert!(stated || name == "drop_and_lose_session", "{name}");
        }
    }
}
