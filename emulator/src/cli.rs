//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::identity::Identity;
use crate::options::{CredentialOptions, IdentityOptions, Options};
use crate::settings::Settings;
use crate::{program, routes, send};

const HTTPS_PORT: &str = "\
The HTTPS port serves, to devices,
  GET /$iothub/websocket          MQTT over WebSocket, subprotocol mqtt
to back-ends with a token of the service connection string
  POST /devices/ID/messages/devicebound
                                  a cloud-to-device message: the body as it is; the headers
                                  iothub-messageid, iothub-correlationid, iothub-userid,
                                  iothub-expiry, iothub-ack, content-type, content-encoding,
                                  iothub-app-NAME; emulator-bag is the end of the topic as it is
  POST /devices/DEV/modules/MOD/inputs/INPUT
                                  the same to an input of a module, as another module's output
  GET, PATCH, PUT /twins/ID       the twin; /twins/DEV/modules/MOD of a module
  POST /twins/ID/methods          a direct method; /twins/DEV/modules/MOD/methods of a module
and to everybody on this machine
  GET /emulator/events            what --events writes, as server-sent events
  POST /emulator/faults           {\"fault\":NAME,\"device\":ID,\"count\":N,\"for_ms\":T,
                                  \"after_messages\":K,\"code\":C}; all but the name may be
                                  left out; ID may be DEV/MOD or *

Faults
  drop, expire, take_over         the connection is closed; drop with after_messages at the
                                  K-th message of each connection
  lose_session                    drop, and the stored session is forgotten
  truncate, corrupt               a packet that stops in the middle, bytes that are none
  half_open, delay, slow_reader   for for_ms nothing is read, or answers wait, or reading crawls
  mute                            CONNECT is not answered
  refuse                          CONNECT is answered with the return code 1 to 5
  throttle, server_error, no_answer
                                  twin requests get 429, a code of 500 to 599, or nothing
A fault without a connection that it could reach waits for the next one.";

/// A local Azure IoT Hub for development and tests.
///
/// The first line on the standard output is a JSON object that says where the hub listens, which
/// file holds the certificate authority that clients have to trust, and the connection strings.
#[derive(Debug, Parser)]
#[command(
    name = "iothub-emulator",
    version,
    args_conflicts_with_subcommands = true,
    after_long_help = format!("{HTTPS_PORT}\n\n{}", Settings::help())
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a cloud-to-device message through a running hub.
    Send(Send),
}

#[derive(Debug, Args)]
struct Serve {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: String,
    /// The port of MQTT over TLS; 0 asks for a free one.
    #[arg(long, default_value_t = 8883, value_name = "PORT")]
    mqtt_port: u16,
    /// The port of HTTPS and of MQTT over WebSocket; 0 asks for a free one.
    #[arg(long, default_value_t = 443, value_name = "PORT")]
    https_port: u16,
    /// A device; its primary key is made up where none is given.
    #[arg(long = "device", value_name = "ID[=BASE64KEY]")]
    devices: Vec<String>,
    /// A module of a device that is given too.
    #[arg(long = "module", value_name = "DEV/MOD[=KEY]")]
    modules: Vec<String>,
    /// A device with a certificate: the SHA-1 or SHA-256 of its DER form, in hexadecimal.
    #[arg(long = "x509", value_name = "ID=THUMBPRINT")]
    x509: Vec<String>,
    /// What a module sends to an output goes to an input of a module of the same device. Such
    /// messages wait for the module, in memory, until their PUBACK or for two hours.
    #[arg(long = "route", value_name = "DEV/MOD/OUTPUT=DEV/MOD/INPUT")]
    routes: Vec<String>,
    /// Where the certificates and the secret of the made-up keys are kept.
    #[arg(long, default_value = "emulator-certs", value_name = "DIR")]
    certs: PathBuf,
    /// Where to write one JSON line for each event; - is the standard output.
    #[arg(long, value_name = "FILE|-")]
    events: Option<PathBuf>,
    /// The host name of the connection strings and of the certificate.
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    name: String,
    /// A behaviour where the sources on IoT Hub are open or disagree; may be repeated. The list
    /// is below.
    #[arg(long = "setting", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// End when the standard input ends, so that a parent that dies leaves nothing behind.
    #[arg(long)]
    exit_with_stdin: bool,
}

/// What `send` is asked to send and where to.
#[derive(Args)]
pub(crate) struct Send {
    pub(crate) device: String,
    pub(crate) text: String,
    /// An application property; may be repeated.
    #[arg(long = "property", value_name = "NAME=VALUE")]
    pub(crate) properties: Vec<String>,
    /// The service connection string of the hub's first line.
    #[arg(long, value_name = "CONNECTION STRING")]
    pub(crate) service: String,
    /// The file with the hub's certificate authority, from its first line.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: PathBuf,
    /// The hub's HTTPS port.
    #[arg(long, default_value_t = 443, value_name = "PORT")]
    pub(crate) https_port: u16,
    /// Where to connect to, if not to the host of the connection string.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    #[arg(long, value_name = "ID")]
    pub(crate) message_id: Option<String>,
}

impl std::fmt::Debug for Send {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Send").field("device", &self.device).finish_non_exhaustive()
    }
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Send(send)) => send::run(&send),
        None => options(&cli.serve).and_then(|options| {
            program::run(options, cli.serve.events.as_deref(), cli.serve.exit_with_stdin)
                .map_err(|error| error.to_string())
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("iothub-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(serve: &Serve) -> Result<Options, String> {
    let mut identities = Vec::new();
    for text in &serve.devices {
        let (id, key) = id_and_value(text);
        identities.push(IdentityOptions {
            identity: Identity::device(id),
            credential: CredentialOptions::Key(key),
        });
    }
    for text in &serve.modules {
        let (id, key) = id_and_value(text);
        let identity = Identity::parse(id);
        if identity.module_id().is_none() {
            return Err(format!("--module {id}: must be DEVICE/MODULE or DEVICE/MODULE=KEY"));
        }
        identities.push(IdentityOptions { identity, credential: CredentialOptions::Key(key) });
    }
    for text in &serve.x509 {
        let (id, thumbprint) = id_and_value(text);
        let thumbprint = thumbprint.ok_or_else(|| format!("--x509 {id}: must be ID=THUMBPRINT"))?;
        identities.push(IdentityOptions {
            identity: Identity::device(id),
            credential: CredentialOptions::Thumbprints(vec![thumbprint]),
        });
    }
    let routes = serve.routes.iter().map(|text| {
        routes::split(text).ok_or_else(|| format!("--route {text}: must be DEV/MOD/OUTPUT=DEV/MOD/INPUT"))
    });
    let mut settings = Settings::default();
    for text in &serve.settings {
        settings.set_pair(text).map_err(|rule| format!("--setting {rule}"))?;
    }
    Ok(Options {
        settings,
        routes: routes.collect::<Result<_, _>>()?,
        host: serve.host.clone(),
        mqtt_port: serve.mqtt_port,
        https_port: serve.https_port,
        identities,
        certs: Some(serve.certs.clone()),
        name: serve.name.clone(),
        ..Options::default()
    })
}

/// Splits at the first `=`: keys end in more of them.
fn id_and_value(text: &str) -> (&str, Option<String>) {
    match text.split_once('=') {
        Some((id, value)) => (id, Some(value.to_owned())),
        None => (text, None),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::faults::FaultKind;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let cli =
            Cli::try_parse_from([&["iothub-emulator"], arguments].concat()).map_err(|e| e.to_string())?;
        options(&cli.serve)
    }

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

    #[test]
    fn routes_are_split_into_their_ends() {
        let options = parse(&["--route", "d/a/o=d/b/i", "--route", "d/a/p=d/b/i"]).unwrap();
        let ends = |from: &str| (from.to_owned(), "d/b/i".to_owned());
        assert_eq!(options.routes, [ends("d/a/o"), ends("d/a/p")]);
    }

    #[test]
    fn defaults_are_the_standard_ports() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.mqtt_port, options.https_port), (8883, 443));
        assert_eq!((options.host.as_str(), options.name.as_str()), ("127.0.0.1", "localhost"));
    }

    #[test]
    fn identities_keep_the_padding_of_their_keys() {
        let options =
            parse(&["--device", "d=a2V5a2V5a2V5a2U=", "--module", "d/m", "--x509", "x=AB12"]).unwrap();
        let given: Vec<_> =
            options.identities.into_iter().map(|i| (i.identity.to_string(), i.credential)).collect();
        assert_eq!(
            given,
            [
                ("d".to_owned(), CredentialOptions::Key(Some("a2V5a2V5a2V5a2U=".into()))),
                ("d/m".to_owned(), CredentialOptions::Key(None)),
                ("x".to_owned(), CredentialOptions::Thumbprints(vec!["AB12".into()])),
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for arguments in [
            &["--module", "d"][..],
            &["--x509", "d"],
            &["--config", "f"],
            &["--mqtt-port", "70000"],
            &["--route", "d/m/o"],
            &["--setting", "tls=1.1"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
