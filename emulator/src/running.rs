//! What a running hub says of itself: its first line, and the same in a file for the subcommands.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::certs;
use crate::dps::Summary;
use crate::error::StartError;
use crate::hub::Hub;

const FILE: &str = "running.json";
/// Locked by the hub that `running.json` is of, for as long as it lives: the lock ends with its process,
/// however that ends. The file itself stays.
const LOCK: &str = "running.lock";

/// The first line. It holds keys: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) event: String,
    pub(crate) host: String,
    pub(crate) mqtt_port: u16,
    pub(crate) https_port: u16,
    pub(crate) ca: PathBuf,
    pub(crate) service_connection_string: String,
    pub(crate) devices: Vec<Device>,
    pub(crate) dps: Summary,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) connection_string: Option<String>,
}

impl Ready {
    pub(crate) fn of(hub: &Hub) -> Self {
        let devices = hub.identities().into_iter().map(|identity| {
            let id = identity.to_string();
            Device { connection_string: hub.connection_string(&id), id }
        });
        Self {
            event: "ready".to_owned(),
            host: hub.mqtt_address().ip().to_string(),
            mqtt_port: hub.mqtt_port(),
            https_port: hub.https_port(),
            ca: hub.ca_path().to_owned(),
            service_connection_string: hub.service_connection_string(),
            devices: devices.collect(),
            dps: hub.provisioning(),
        }
    }

    pub(crate) fn line(&self) -> Result<String, StartError> {
        serde_json::to_string(self).map_err(|e| StartError::new(format!("the first line: {e}")))
    }

    /// The same for people.
    pub(crate) fn table(&self) -> String {
        let listening = [("MQTT", self.mqtt_port), ("HTTPS", self.https_port)].map(|(what, port)| {
            let host = self.reachable_host();
            (what, if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
        });
        let mut rows: Vec<(&str, String)> = listening.into();
        rows.push(("trust", self.ca.display().to_string()));
        rows.push(("back-ends", self.service_connection_string.clone()));
        rows.extend(
            self.devices
                .iter()
                .map(|device| (device.id.as_str(), device.connection_string.clone().unwrap_or_default())),
        );
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
    }

    /// Where a client of this machine connects to.
    pub(crate) fn reachable_host(&self) -> &str {
        match self.host.parse() {
            Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1",
            Ok(IpAddr::V6(address)) if address.is_unspecified() => "::1",
            _ => &self.host,
        }
    }
}

pub(crate) fn path(certs: &Path) -> PathBuf {
    certs.join(FILE)
}

/// The file of the hub that runs with `certs`; the error is for people.
pub(crate) fn read(certs: &Path) -> Result<Ready, String> {
    let path = path(certs);
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("no hub runs with --certs {}", certs.display()),
        _ => format!("{}: {error}", path.display()),
    })?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The file beside the hub's keys, for as long as this lives.
pub(crate) struct Announced {
    path: PathBuf,
    line: String,
    // After the file is gone, which is done in `drop`.
    _lock: File,
}

impl Announced {
    /// `None` where another hub runs with the directory, whose file is left as it is.
    pub(crate) fn write(hub: &Hub, line: &str) -> io::Result<Option<Self>> {
        let directory = hub.ca_path().parent().unwrap_or(Path::new("."));
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(LOCK))?;
        // A file system without locks is no reason not to be found.
        if let Err(Errno::WOULDBLOCK) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Ok(None);
        }
        let path = path(directory);
        certs::replace(&path, line, 0o600)?;
        Ok(Some(Self { path, line: line.to_owned(), _lock: lock }))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Without locks another hub may have put its own into the place.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.line) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
