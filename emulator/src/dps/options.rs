//! What the provisioning service is started with.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::options::{Options, Pem};

/// A Device Provisioning Service beside the hub, on the same two ports, which assigns devices to it.
///
/// Everything here can be read from a file; names have dashes there: `id-scope`, `device-id`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DpsOptions {
    /// What devices name the service by; made from the secret under `certs` where it is absent.
    pub id_scope: Option<String>,
    /// How long a device is asked to wait before it polls, in seconds, 1 to 300; 3.
    pub retry_after: u16,
    /// How often a device may poll in ten seconds before it is throttled; 5, as at the real service.
    /// 0 is no limit.
    pub poll_limit: u16,
    pub enrollments: Vec<EnrollmentOptions>,
    pub groups: Vec<GroupOptions>,
}

impl Default for DpsOptions {
    fn default() -> Self {
        Self { id_scope: None, retry_after: 3, poll_limit: 5, enrollments: Vec::new(), groups: Vec::new() }
    }
}

/// An individual enrollment. With neither keys nor thumbprints its keys are made from the secret
/// under `certs`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EnrollmentOptions {
    /// The registration id, compared without case.
    pub registration: String,
    /// Base64 of 16 to 64 bytes.
    pub key: Option<String>,
    pub secondary_key: Option<String>,
    /// SHA-1 (40 hexadecimal digits) or SHA-256 (64) of the device's certificate.
    pub thumbprint: Option<String>,
    pub secondary_thumbprint: Option<String>,
    /// The device's id at the hub; the registration id where it is absent.
    pub device_id: Option<String>,
    /// As those of [`GroupOptions`], and all that follow.
    pub tags: Map<String, Value>,
    pub desired: Map<String, Value>,
    pub edge: bool,
    pub payload: Option<Value>,
    pub reprovision: Reprovision,
    pub disabled: bool,
    pub allocation_error: Option<u32>,
    pub assigning_polls: u32,
}

impl EnrollmentOptions {
    pub fn new(registration: &str) -> Self {
        Self { registration: registration.to_owned(), ..Self::default() }
    }
}

/// Not the keys.
impl fmt::Debug for EnrollmentOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollmentOptions").field("registration", &self.registration).finish_non_exhaustive()
    }
}

/// An enrollment group: any number of devices, whose keys are derived from the group's or whose
/// certificates come from its authorities. With neither its keys are made from the secret under
/// `certs`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GroupOptions {
    pub name: String,
    /// Base64 of 16 to 64 bytes. A device's own key is the HMAC-SHA256 of its registration id.
    pub key: Option<String>,
    pub secondary_key: Option<String>,
    /// Certificate authorities; the common name of a device's certificate is its registration id.
    pub roots: Vec<Pem>,
    /// The tags that a device's twin is created with.
    pub tags: Map<String, Value>,
    /// The desired properties that it is created with.
    pub desired: Map<String, Value>,
    /// Devices are those of IoT Edge: `capabilities.iotEdge`.
    pub edge: bool,
    /// The `payload` of the answer, as a custom allocation gives one; none where it is absent.
    pub payload: Option<Value>,
    /// What becomes of a device that registers again.
    pub reprovision: Reprovision,
    /// Registrations end as `disabled`.
    pub disabled: bool,
    /// Registrations fail with this code: 400207, 400208 or 400209.
    pub allocation_error: Option<u32>,
    /// How many polls are answered with `assigning` before the result; 0.
    pub assigning_polls: u32,
}

impl GroupOptions {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// Not the keys.
impl fmt::Debug for GroupOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupOptions").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What becomes of a device at the hub that registers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reprovision {
    /// It keeps its twin and its messages; its credentials are the enrollment's again.
    #[default]
    Migrate,
    /// It is deleted and made again.
    Reset,
    /// It is left as it is, even where a back-end deleted it.
    Never,
}

impl Options {
    /// Enrolls a device with a generated key; [`crate::Hub::enrollment_key`] tells it.
    #[must_use]
    pub fn enroll(self, registration: &str) -> Self {
        self.enrollment(EnrollmentOptions::new(registration))
    }

    #[must_use]
    pub fn enrollment(mut self, enrollment: EnrollmentOptions) -> Self {
        self.dps.enrollments.push(enrollment);
        self
    }

    #[must_use]
    pub fn enrollment_group(mut self, group: GroupOptions) -> Self {
        self.dps.groups.push(group);
        self
    }
}
