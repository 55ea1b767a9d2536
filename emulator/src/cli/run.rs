//! `run`: a command with a hub of its own.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::serve::{CERTS_VARIABLE, Serve};
use crate::child::{self, NotRun};
use crate::identity::Identity;
use crate::options::Options;
use crate::program::Session;
use crate::running::Ready;
use crate::scratch::ScratchDir;

/// The status where the hub did not start: none of the command's own.
const NO_HUB: u8 = 125;

/// A command and the hub that it is started with.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    serve: Serve,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    pub(super) fn run(&self) -> ExitCode {
        let result = self.try_run();
        ExitCode::from(result.unwrap_or_else(|NotRun { status, text }| {
            eprintln!("iothub-emulator: {text}");
            status
        }))
    }

    fn try_run(&self) -> Result<u8, NotRun> {
        let failed = |text: String| NotRun { status: NO_HUB, text };
        let scratch = ScratchDir::new().map_err(|e| failed(format!("a temporary directory: {e}")))?;
        let base = Options { certs: Some(scratch.path().join("certs")), ..Options::default() };
        let (options, events) = self.serve.options(base).map_err(failed)?;
        let events = match events {
            Some(events) if events.as_os_str() == "-" => {
                return Err(failed("--events -: the standard output is the command's".into()));
            }
            Some(events) => events,
            None => scratch.path().join("events.jsonl"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| failed(format!("the runtime: {e}")))?;
        let given: Vec<String> = options.identities.iter().map(|given| given.identity.to_string()).collect();
        let (session, ready) =
            Session::start(options, Some(&events)).map_err(|error| failed(error.to_string()))?;
        let environment = environment(&ready, &given, &events);
        let result = runtime.block_on(child::run(&self.command, &environment));
        let finished = session.finish();
        let status = result?;
        finished.map(|()| status).map_err(|error| failed(error.to_string()))
    }
}

/// What the command is told; `given` are the identities in the order of the command line.
fn environment(ready: &Ready, given: &[String], events: &Path) -> Vec<(String, String)> {
    let directory = ready.ca.parent().unwrap_or(Path::new("."));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut environment = vec![
        ("IOTHUB_SERVICE_CONNECTION_STRING".to_owned(), ready.service_connection_string.clone()),
        ("IOTHUB_CA_FILE".to_owned(), text(&ready.ca)),
        ("IOTHUB_HOST".to_owned(), ready.reachable_host().to_owned()),
        ("IOTHUB_MQTT_PORT".to_owned(), ready.mqtt_port.to_string()),
        ("IOTHUB_HTTPS_PORT".to_owned(), ready.https_port.to_string()),
        // As the library's own examples read them.
        ("IOTHUB_PORT".to_owned(), ready.mqtt_port.to_string()),
        ("IOTHUB_TRUSTED_ROOTS".to_owned(), text(&ready.ca)),
        ("IOTHUB_EVENTS".to_owned(), text(events)),
        (CERTS_VARIABLE.to_owned(), text(directory)),
    ];
    environment.extend(provisioning(ready));
    // Those that were not given come last, in the order of the hub.
    let place = |id: &str| given.iter().position(|known| known == id).unwrap_or(given.len());
    let mut identities: Vec<_> = ready.devices.iter().collect();
    identities.sort_by_key(|device| place(&device.id));
    for device in identities {
        let Some(connection_string) = &device.connection_string else {
            continue;
        };
        let (kind, short) = match Identity::parse(&device.id).module_id() {
            None => ("IOTHUB_DEVICE_CONNECTION_STRING", Some("IOTHUB_CONNECTION_STRING")),
            Some(_) => ("IOTHUB_MODULE_CONNECTION_STRING", None),
        };
        let long = format!("{kind}_{}", in_a_name(&device.id));
        for name in [kind.to_owned(), long].into_iter().chain(short.map(str::to_owned)) {
            // Of two ids that differ in nothing that a name can show, the first.
            if !environment.iter().any(|(known, _)| *known == name) {
                environment.push((name, connection_string.clone()));
            }
        }
    }
    environment
}

/// The provisioning service and its first enrollment, under our name and those that Microsoft's
/// samples read.
fn provisioning(ready: &Ready) -> Vec<(String, String)> {
    let host = ready.reachable_host();
    let mut variables = vec![
        ("IOTHUB_DPS_ID_SCOPE", ready.dps.id_scope.as_str()),
        ("PROVISIONING_HOST", host),
        ("PROVISIONING_IDSCOPE", ready.dps.id_scope.as_str()),
        ("IOTHUB_DEVICE_DPS_ENDPOINT", host),
        ("IOTHUB_DEVICE_DPS_ID_SCOPE", ready.dps.id_scope.as_str()),
    ];
    if let Some((registration, key)) = ready.dps.first() {
        variables.extend([
            ("PROVISIONING_REGISTRATION_ID", registration),
            ("IOTHUB_DEVICE_DPS_DEVICE_ID", registration),
        ]);
        if let Some(key) = key {
            variables.extend([("PROVISIONING_SYMMETRIC_KEY", key), ("IOTHUB_DEVICE_DPS_DEVICE_KEY", key)]);
        }
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// An id as a part of the name of a variable.
fn in_a_name(id: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    id.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::help;
    use crate::dps::Summary;
    use crate::running::Device;

    #[test]
    fn the_environment_names_everybody_and_the_first_of_each_kind() {
        let device = |id: &str| Device { id: id.into(), connection_string: Some(format!("of {id}")) };
        let ready = Ready {
            event: "ready".into(),
            host: "0.0.0.0".into(),
            mqtt_port: 1,
            https_port: 2,
            ca: "/certs/ca.pem".into(),
            service_connection_string: "service".into(),
            devices: ["a", "b.1", "b/m", "b_1"].map(device).into(),
            dps: Summary::default(),
        };
        let given = ["b_1", "a", "b.1", "b/m"].map(str::to_owned);
        let environment = environment(&ready, &given, Path::new("/events"));
        let of = |name: &str| {
            let all: Vec<_> = environment.iter().filter(|(known, _)| known == name).collect();
            assert!(all.len() <= 1, "{name}");
            all.first().map(|(_, value)| value.as_str())
        };
        for (name, value) in [
            ("IOTHUB_DEVICE_CONNECTION_STRING", Some("of b_1")),
            ("IOTHUB_DEVICE_CONNECTION_STRING_A", Some("of a")),
            ("IOTHUB_DEVICE_CONNECTION_STRING_B_1", Some("of b_1")),
            ("IOTHUB_MODULE_CONNECTION_STRING", Some("of b/m")),
            ("IOTHUB_MODULE_CONNECTION_STRING_B_M", Some("of b/m")),
            ("IOTHUB_HOST", Some("127.0.0.1")),
            ("IOTHUB_HTTPS_PORT", Some("2")),
            ("IOTHUB_EMULATOR_CERTS", Some("/certs")),
            ("IOTHUB_CONNECTION_STRING", Some("of b_1")),
            ("IOTHUB_PORT", Some("1")),
            ("IOTHUB_TRUSTED_ROOTS", Some("/certs/ca.pem")),
            ("IOTHUB_MODULE_CONNECTION_STRING_A", None),
        ] {
            assert_eq!(of(name), value, "{name}");
        }
        // --help names them all; an id stands for every id.
        for (name, _) in &environment {
            let kind = name.find("CONNECTION_STRING_").map_or(name.as_str(), |at| &name[..at]);
            assert!(help::RUN.contains(kind), "{name}");
        }
    }
}
