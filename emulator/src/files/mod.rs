//! File upload: a device asks the hub where to put a file, puts it into a blob store, and tells the
//! hub how it went.

mod blobs;
mod block_list;
mod options;
mod path;
mod sas;
mod uploads;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub_mqtt::hub::percent;
use jiff::Timestamp;
use ring::hmac;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

pub(crate) use blobs::{Blob, Blobs, Condition, Unwritten};
pub(crate) use block_list::parse as parse_block_list;
pub use options::FileOptions;
pub(crate) use sas::{Access, Denied, parameter};

use crate::error::HubError;
use crate::notices::{Notices, Received};
use crate::scratch::ScratchDir;
use crate::time::round_trip_text;
use uploads::{MAX_ACTIVE, Unknown, Uploads};

/// The one container of the blob store.
pub(crate) const CONTAINER: &str = "device-uploads";
/// Azure's limits on the name of a blob.
const MAX_NAME: usize = 1024;
const MAX_SEGMENTS: usize = 254;

/// IoT Hub's default: how often a notice is received before it is dropped.
const MAX_DELIVERIES: u32 = 100;

#[derive(Debug)]
pub(crate) struct Files {
    options: FileOptions,
    key: hmac::Key,
    /// Where the blob store is reached.
    host: OnceLock<String>,
    uploads: Mutex<Uploads>,
    notices: Mutex<Notices>,
    pub(crate) blobs: Blobs,
    /// After the blobs, which lie in it.
    _scratch: Option<ScratchDir>,
}

/// What a device needs for an upload.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) correlation: String,
    pub(crate) host: String,
    pub(crate) blob: String,
    /// With its question mark.
    pub(crate) token: String,
}

/// An upload that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) blob: Option<Blob>,
}

impl Files {
    /// The error names the directory that cannot be used.
    pub(crate) fn new(options: &FileOptions) -> Result<Self, String> {
        let scratch = match options.directory {
            Some(_) => None,
            None => Some(ScratchDir::new().map_err(|e| format!("a temporary directory: {e}"))?),
        };
        let root = match (&options.directory, &scratch) {
            (Some(directory), _) => directory.as_path(),
            (None, Some(scratch)) => scratch.path(),
            (None, None) => Path::new("."),
        };
        let blobs =
            Blobs::new(root).map_err(|e| format!("the directory of files {}: {e}", root.display()))?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| "the system gave no random bytes")?;
        Ok(Self {
            options: options.clone(),
            key,
            host: OnceLock::new(),
            uploads: Mutex::default(),
            notices: Mutex::new(Notices::new(MAX_DELIVERIES)),
            blobs,
            _scratch: scratch,
        })
    }

    /// Says where the blob store is reached, once that is known.
    pub(crate) fn set_host(&self, name: &str, port: u16) {
        let _ = self.host.set(if port == 443 { name.to_owned() } else { format!("{name}:{port}") });
    }

    fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the upload of a file that `device` calls `name`.
    pub(crate) fn begin(&self, device: &str, name: &str, now: Timestamp) -> Result<Begun, HubError> {
        if !self.options.enabled {
            let text = "the hub has no storage account";
            return Err(HubError::new(400_014, "DefaultStorageEndpointNotConfigured", text));
        }
        let blob = format!("{device}/{name}");
        let whole = !name.is_empty()
            && blob.chars().count() <= MAX_NAME
            && blob.split('/').count() <= MAX_SEGMENTS
            && !blob.contains(char::is_control)
            && path::of_blob(&blob).is_some();
        if !whole {
            return Err(HubError::argument(
                "blobName must have 1 to 1024 characters with the device's id, no control character and \
                 parts of at most 255 bytes",
            ));
        }
        let expiry = now.checked_add(self.options.sas_ttl()).unwrap_or(Timestamp::MAX);
        let correlation = STANDARD.encode(format!("{}_{name}_ver2.0", uuid::Uuid::new_v4()));
        if !self.uploads().begin(correlation.clone(), device, &blob, expiry, now) {
            let text = format!("Number of active file upload requests cannot exceed {MAX_ACTIVE}");
            return Err(HubError::new(403_006, "DeviceMaximumActiveFileUploadLimitExceeded", text));
        }
        let token = sas::token(&self.key, CONTAINER, &blob, expiry);
        Ok(Begun { correlation, host: self.host.get().cloned().unwrap_or_default(), blob, token })
    }

    /// Ends an upload by the word of its device; one that succeeded has a blob.
    pub(crate) fn end(
        &self,
        device: &str,
        correlation: &str,
        success: bool,
        now: Timestamp,
    ) -> Result<Ended, HubError> {
        let mut uploads = self.uploads();
        let upload = uploads.find(correlation, device, now).map_err(|unknown| match unknown {
            Unknown::Never => HubError::new(
                400_015,
                "InvalidFileUploadCorrelationId",
                "the device has begun no upload of this correlation id, or has ended it",
            ),
            Unknown::Expired => {
                HubError::new(400_016, "ExpiredFileUploadCorrelationId", "the time for this upload is over")
            }
        })?;
        let name = upload.blob.clone();
        let blob = self.blobs.get(&name);
        if success && blob.is_none() {
            let text = format!("there is no blob '{name}'");
            return Err(HubError::new(400_019, "InvalidFileUploadCompletionStatus", text));
        }
        uploads.end(correlation);
        if success && let Some(blob) = &blob {
            self.notices().push(self.notice(device, &name, blob, now), now);
        }
        Ok(Ended { name, blob })
    }

    /// Forgets what a device has begun that is deleted.
    pub(crate) fn forget(&self, device: &str) {
        self.uploads().forget(device);
    }

    fn notices(&self) -> MutexGuard<'_, Notices> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notice(&self, device: &str, name: &str, blob: &Blob, now: Timestamp) -> Value {
        let host = self.host.get().map_or("", String::as_str);
        let path: Vec<String> = name.split('/').map(percent::encode).collect();
        json!({
            "deviceId": device,
            "blobUri": format!("https://{host}/{CONTAINER}/{}", path.join("/")),
            "blobName": name,
            "lastUpdatedTime": format!("{:.0}", blob.modified),
            "blobSizeInBytes": blob.size,
            "enqueuedTimeUtc": round_trip_text(now),
        })
    }

    /// The next notice of an uploaded file and the token that it is locked under.
    pub(crate) fn receive_notice(&self) -> Option<(String, Received)> {
        let token = uuid::Uuid::new_v4().to_string();
        let received = self.notices().receive(token.clone(), Timestamp::now())?;
        Some((token, received))
    }

    pub(crate) fn complete_notice(&self, token: &str) -> Result<(), HubError> {
        self.notices().complete(token, Timestamp::now()).then_some(()).ok_or_else(lock_lost)
    }

    pub(crate) fn abandon_notice(&self, token: &str) -> Result<(), HubError> {
        self.notices().abandon(token, Timestamp::now()).then_some(()).ok_or_else(lock_lost)
    }

    /// Checks the signature in the query of a request for `blob`.
    pub(crate) fn check(
        &self,
        blob: &str,
        query: &str,
        wanted: Access,
        now: Timestamp,
    ) -> Result<(), Denied> {
        sas::check(&self.key, CONTAINER, blob, query, wanted, now)
    }
}

fn lock_lost() -> HubError {
    HubError::new(412_002, "DeviceMessageLockLost", "no notice is locked under this token")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
