//! How devices upload files, as it is asked for.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// File upload with the hub's own blob store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileOptions {
    /// Whether the hub has a storage account; without one devices get 400014.
    pub enabled: bool,
    /// Where uploaded files are kept, one directory for each device; a temporary one for the life of
    /// the hub where it is absent.
    pub directory: Option<PathBuf>,
    /// How long a device may take for an upload, in seconds; IoT Hub's hour.
    pub sas_ttl_s: u32,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { enabled: true, directory: None, sas_ttl_s: 3600 }
    }
}

impl FileOptions {
    pub(super) fn sas_ttl(&self) -> Duration {
        Duration::from_secs(self.sas_ttl_s.into())
    }
}
