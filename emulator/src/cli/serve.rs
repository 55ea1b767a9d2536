//! The flags that a hub is started with.

use std::path::PathBuf;

use clap::Args;

use crate::config;
use crate::dps::{EnrollmentOptions, GroupOptions};
use crate::identity::Identity;
use crate::module_routes;
use crate::options::{CredentialOptions, IdentityOptions, Options, Pem};
use crate::program::{self, Program};
use crate::scenario;

pub(super) const MQTT_PORT: u16 = 8883;
pub(super) const HTTPS_PORT: u16 = 443;
/// Where a hub keeps its keys, and where subcommands look for a running one.
pub(super) const CERTS: &str = "emulator-certs";
pub(super) const CERTS_VARIABLE: &str = "IOTHUB_EMULATOR_CERTS";

/// Each is absent where the command line says nothing of it.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The address to listen on; 127.0.0.1 where it is not given.
    #[arg(long, value_name = "ADDRESS", help_heading = LISTENING)]
    host: Option<String>,
    /// The port of MQTT over TLS; 0 asks for a free one [default: 8883].
    #[arg(long, value_name = "PORT", help_heading = LISTENING)]
    mqtt_port: Option<u16>,
    /// The port of HTTPS and of MQTT over WebSocket; 0 asks for a free one [default: 443].
    #[arg(long, value_name = "PORT", help_heading = LISTENING)]
    https_port: Option<u16>,
    /// The host name of the connection strings and of the certificate [default: localhost].
    #[arg(long, value_name = "NAME", help_heading = LISTENING)]
    name: Option<String>,
    /// Where the certificates and the secret of the made-up keys are kept [default: emulator-certs].
    #[arg(long, value_name = "DIR", env = CERTS_VARIABLE, help_heading = LISTENING)]
    certs: Option<PathBuf>,
    /// Keep devices, twins, messages and sessions in this directory for the next start; what is kept
    /// there of a device wins over --device and --config.
    #[arg(long, value_name = "DIR", help_heading = IDENTITIES)]
    state: Option<PathBuf>,
    /// A device; its primary key is made up where none is given.
    #[arg(long = "device", value_name = "ID[=BASE64KEY]", help_heading = IDENTITIES)]
    devices: Vec<String>,
    /// A module of a device that is given too.
    #[arg(long = "module", value_name = "DEV/MOD[=KEY]", help_heading = IDENTITIES)]
    modules: Vec<String>,
    /// A device with a certificate: the SHA-1 or SHA-256 of its DER form, in hexadecimal.
    #[arg(long = "x509", value_name = "ID=THUMBPRINT", help_heading = IDENTITIES)]
    x509: Vec<String>,
    /// A device with a certificate in its name (CN) from one of the authorities of --x509-root.
    #[arg(long = "x509-ca", value_name = "ID", help_heading = IDENTITIES)]
    x509_ca: Vec<String>,
    /// A certificate authority, in PEM, that vouches for devices of --x509-ca.
    #[arg(long = "x509-root", value_name = "FILE", help_heading = IDENTITIES)]
    x509_roots: Vec<PathBuf>,
    /// The id scope of the provisioning service; made up where none is given.
    #[arg(long = "dps-scope", value_name = "ID", help_heading = PROVISIONING)]
    dps_scope: Option<String>,
    /// Enrolls a device with the provisioning service; its primary key is made up where none is given.
    #[arg(long = "enroll", value_name = "REGISTRATION[=BASE64KEY]", help_heading = PROVISIONING)]
    enrollments: Vec<String>,
    /// A group of devices whose keys are derived from the group's.
    #[arg(long = "enroll-group", value_name = "NAME[=BASE64KEY]", help_heading = PROVISIONING)]
    enrollment_groups: Vec<String>,
    /// What a module sends to an output goes to an input of a module of the same device. Such
    /// messages wait for the module, in memory, until their PUBACK or for two hours.
    #[arg(long = "route", value_name = "DEV/MOD/OUTPUT=DEV/MOD/INPUT", help_heading = MESSAGES)]
    routes: Vec<String>,
    /// Where to write one JSON line for each event; - is the standard output.
    #[arg(long, value_name = "FILE|-", help_heading = MESSAGES)]
    events: Option<PathBuf>,
    /// Everything that can be said here and more, in TOML; what is said here wins.
    #[arg(long, value_name = "FILE", help_heading = LISTENING)]
    config: Option<PathBuf>,
    /// Faults that come by themselves, in TOML; in the place of those of --config.
    #[arg(long, value_name = "FILE", help_heading = MESSAGES)]
    faults: Option<PathBuf>,
    /// A behaviour where the sources on IoT Hub are open or disagree; may be repeated. --help lists
    /// them all.
    #[arg(long = "setting", value_name = "NAME=VALUE", help_heading = BEHAVIOUR)]
    settings: Vec<String>,
}

const LISTENING: &str = "Where it listens";
const IDENTITIES: &str = "Devices and modules";
const PROVISIONING: &str = "Provisioning service";
const MESSAGES: &str = "Messages and events";
const BEHAVIOUR: &str = "Behaviour";

/// A hub in the foreground.
#[derive(Debug, Args)]
pub(super) struct Foreground {
    #[command(flatten)]
    serve: Serve,
    /// End when the standard input ends, so that a parent that dies leaves nothing behind.
    #[arg(long)]
    exit_with_stdin: bool,
    /// Show the connection strings as a table on the standard error, which happens without this
    /// where the standard output is a terminal.
    #[arg(long)]
    table: bool,
}

impl Foreground {
    pub(super) fn run(&self) -> Result<(), String> {
        let base = Options {
            mqtt_port: MQTT_PORT,
            https_port: HTTPS_PORT,
            certs: Some(CERTS.into()),
            ..Options::default()
        };
        let (options, events) = self.serve.options(base)?;
        let Self { exit_with_stdin, table, .. } = *self;
        let program = Program { options, events, exit_with_stdin, table };
        program::run(program).map_err(|error| error.to_string())
    }
}

impl Serve {
    /// `base` with everything that the file of `--config` and then the flags say, and where events go.
    pub(super) fn options(&self, mut base: Options) -> Result<(Options, Option<PathBuf>), String> {
        fn set<T: Clone>(option: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                option.clone_from(given);
            }
        }
        let mut events = None;
        if let Some(path) = &self.config {
            events = config::read(path, &mut base).map_err(|e| format!("--config {e}"))?;
        }
        set(&mut base.host, self.host.as_ref());
        set(&mut base.mqtt_port, self.mqtt_port.as_ref());
        set(&mut base.https_port, self.https_port.as_ref());
        set(&mut base.name, self.name.as_ref());
        if let Some(certs) = &self.certs {
            base.certs = Some(certs.clone());
        }
        if let Some(state) = &self.state {
            base.state = Some(state.clone());
        }
        let from_file = base.identities.len();
        for given in self.identities()? {
            let known = base.identities[..from_file].iter_mut().find(|file| file.identity == given.identity);
            match (known, &given.credential) {
                // The flag says nothing that the file has not said.
                (Some(_), CredentialOptions::Key(None)) => {}
                (Some(known), _) => {
                    known.credential = given.credential;
                    known.secondary_key = None;
                }
                (None, _) => base.identities.push(given),
            }
        }
        if let Some(path) = &self.faults {
            base.faults = scenario::read(path).map_err(|e| format!("--faults {e}"))?;
        }
        base.x509_roots.extend(self.x509_roots.iter().cloned().map(Pem::File));
        for text in &self.settings {
            base.settings.set_pair(text).map_err(|rule| format!("--setting {rule}"))?;
        }
        set(&mut base.dps.id_scope, self.dps_scope.is_some().then_some(&self.dps_scope));
        for text in &self.enrollments {
            let (registration, key) = id_and_value(text);
            base.dps.enrollments.push(EnrollmentOptions { key, ..EnrollmentOptions::new(registration) });
        }
        for text in &self.enrollment_groups {
            let (name, key) = id_and_value(text);
            base.dps.groups.push(GroupOptions { key, ..GroupOptions::new(name) });
        }
        for text in &self.routes {
            let route = module_routes::split(text)
                .ok_or_else(|| format!("--route {text}: must be DEV/MOD/OUTPUT=DEV/MOD/INPUT"))?;
            base.routes.push(route);
        }
        Ok((base, self.events.clone().or(events)))
    }

    fn identities(&self) -> Result<Vec<IdentityOptions>, String> {
        let mut identities = Vec::new();
        for text in &self.devices {
            let (id, key) = id_and_value(text);
            let credential = CredentialOptions::Key(key);
            identities.push(IdentityOptions::new(Identity::device(id), credential));
        }
        for text in &self.modules {
            let (id, key) = id_and_value(text);
            let identity = Identity::parse(id);
            if identity.module_id().is_none() {
                return Err(format!("--module {id}: must be DEVICE/MODULE or DEVICE/MODULE=KEY"));
            }
            identities.push(IdentityOptions::new(identity, CredentialOptions::Key(key)));
        }
        for text in &self.x509 {
            let (id, thumbprint) = id_and_value(text);
            let thumbprint = thumbprint.ok_or_else(|| format!("--x509 {id}: must be ID=THUMBPRINT"))?;
            let credential = CredentialOptions::Thumbprints(vec![thumbprint]);
            identities.push(IdentityOptions::new(Identity::device(id), credential));
        }
        for id in &self.x509_ca {
            identities
                .push(IdentityOptions::new(Identity::device(id.as_str()), CredentialOptions::Authority));
        }
        Ok(identities)
    }
}

/// Splits at the first `=`: keys end in more of them.
fn id_and_value(text: &str) -> (&str, Option<String>) {
    match text.split_once('=') {
        Some((id, value)) => (id, Some(value.to_owned())),
        None => (text, None),
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
