//! How a subcommand finds the hub that runs.

use std::path::{Path, PathBuf};

use clap::Args;
use iothub_mqtt::hub::connection_string::ConnectionString;

use super::serve::{CERTS, CERTS_VARIABLE, HTTPS_PORT};
use super::service::Service;
use crate::running::{self, Ready};

/// Without `--service`, what a running hub has written under `--certs` says where it is.
#[derive(Args)]
#[command(next_help_heading = "The running hub")]
pub(super) struct Reach {
    /// The directory of the running hub; what stands there is taken where --service is not given
    /// [default: emulator-certs].
    #[arg(long, value_name = "DIR", env = CERTS_VARIABLE)]
    pub(super) certs: Option<PathBuf>,
    /// The service connection string of the hub's first line.
    #[arg(long, value_name = "CONNECTION STRING", env = "IOTHUB_EMULATOR_SERVICE", hide_env_values = true)]
    service: Option<String>,
    /// The file with the hub's certificate authority, from its first line.
    #[arg(long, value_name = "FILE", env = "IOTHUB_EMULATOR_CA")]
    ca: Option<PathBuf>,
    /// The hub's HTTPS port; 443 with --service.
    #[arg(long, value_name = "PORT", env = "IOTHUB_EMULATOR_HTTPS_PORT")]
    https_port: Option<u16>,
    /// Where to connect to, if not to the address that the hub has written or the host of --service.
    #[arg(long, value_name = "ADDRESS", env = "IOTHUB_EMULATOR_HOST")]
    host: Option<String>,
}

/// The keys are in it.
impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reach").field("certs", &self.certs).finish_non_exhaustive()
    }
}

impl Reach {
    pub(super) fn directory(&self) -> &Path {
        self.certs.as_deref().unwrap_or(Path::new(CERTS))
    }

    /// The hub to talk to; nothing is sent yet.
    pub(super) fn service(&self) -> Result<Service, String> {
        match &self.service {
            Some(service) => {
                let service: ConnectionString = service.parse().map_err(|e| format!("--service: {e}"))?;
                let ca = self.ca.clone().ok_or("--ca is needed with --service")?;
                let host = self.host.clone().unwrap_or_else(|| service.host_name.clone());
                Service::new(&service, host, self.https_port.unwrap_or(HTTPS_PORT), ca)
            }
            None => {
                let ready = self.running()?;
                let service = ready
                    .service_connection_string
                    .parse()
                    .map_err(|e| format!("{}: {e}", running::path(self.directory()).display()))?;
                Service::new(
                    &service,
                    self.host.clone().unwrap_or_else(|| ready.reachable_host().to_owned()),
                    self.https_port.unwrap_or(ready.https_port),
                    self.ca.clone().unwrap_or(ready.ca),
                )
            }
        }
    }

    /// What the running hub has written.
    fn running(&self) -> Result<Ready, String> {
        running::read(self.directory()).map_err(|error| {
            format!("{error}; say with --certs which hub is meant, or with --service, --ca and --https-port")
        })
    }
}
