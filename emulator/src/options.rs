//! What a hub is started with.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::dps::DpsOptions;
use crate::files::FileOptions;
use crate::identity::Identity;
use crate::routing::RoutingOptions;
use crate::scenario::TimedFault;
use crate::settings::Settings;

/// How an identity proves itself.
#[derive(Clone, PartialEq, Eq)]
pub enum CredentialOptions {
    /// The primary key in base64; made from the secret under `certs` where it is absent. The
    /// secondary key always is.
    Key(Option<String>),
    /// SHA-1 (40 hexadecimal digits) or SHA-256 (64) of the certificate, also with the colons of
    /// openssl; one or two of them.
    Thumbprints(Vec<String>),
    /// A certificate in its name from one of the authorities in [`Options::x509_roots`], of which
    /// there has to be one.
    Authority,
}

impl fmt::Debug for CredentialOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key(hidden)"),
            Self::Thumbprints(thumbprints) => f.debug_tuple("Thumbprints").field(thumbprints).finish(),
            Self::Authority => f.write_str("Authority"),
        }
    }
}

/// Certificates in PEM, in a file or here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Pem {
    File(PathBuf),
    Text(String),
}

impl Pem {
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => std::fs::read(path).map_err(|e| format!("{self}: {e}")),
            Self::Text(text) => Ok(text.clone().into_bytes()),
        }
    }
}

/// What has the mark of PEM is the text itself, anything else the name of a file.
impl From<String> for Pem {
    fn from(text: String) -> Self {
        if text.contains("-----BEGIN") { Self::Text(text) } else { Self::File(text.into()) }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text(_) => f.write_str("the given PEM"),
        }
    }
}

/// A device or module that the hub knows from its start on. With [`Options::state`], what was kept
/// of it wins.
#[derive(Clone)]
pub struct IdentityOptions {
    pub identity: Identity,
    pub credential: CredentialOptions,
    /// Base64; goes with [`CredentialOptions::Key`] and is made as the primary is where it is absent.
    pub secondary_key: Option<String>,
    /// Whether it may not connect.
    pub disabled: bool,
    /// Whether a device is a gateway of IoT Edge.
    pub edge: bool,
    /// What its twin is made with; each an object.
    pub tags: Map<String, Value>,
    pub desired: Map<String, Value>,
    pub reported: Map<String, Value>,
}

impl IdentityOptions {
    /// Enabled, with an empty twin.
    pub fn new(identity: Identity, credential: CredentialOptions) -> Self {
        Self {
            identity,
            credential,
            secondary_key: None,
            disabled: false,
            edge: false,
            tags: Map::new(),
            desired: Map::new(),
            reported: Map::new(),
        }
    }
}

/// Neither keys nor twins.
impl fmt::Debug for IdentityOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityOptions")
            .field("identity", &self.identity)
            .field("credential", &self.credential)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// Everything has a default that suits a test: loopback, free ports, a directory that goes away.
#[derive(Debug, Clone)]
pub struct Options {
    /// An address or a name that resolves to one.
    pub host: String,
    /// 0 asks for a free port.
    pub mqtt_port: u16,
    /// 0 asks for a free port.
    pub https_port: u16,
    /// A module's device has to be among them.
    pub identities: Vec<IdentityOptions>,
    /// Where certificates and the secret of the generated keys are kept; a temporary directory for
    /// the life of the hub where it is absent.
    pub certs: Option<PathBuf>,
    /// The host name of connection strings and of the certificate.
    pub name: String,
    /// See [`Options::route`].
    pub routes: Vec<(String, String)>,
    /// Which messages go where; all of them to the hub's own events by default.
    pub routing: RoutingOptions,
    /// How devices upload files.
    pub files: FileOptions,
    /// How the hub behaves where IoT Hub's own way is open, and times that a test may not want to wait for.
    pub settings: Settings,
    /// The certificate authorities that vouch for devices with [`CredentialOptions::Authority`]. A
    /// chain may end at any of them, which need not be a root.
    pub x509_roots: Vec<Pem>,
    /// A directory in which devices, modules, twins, queued messages and sessions are kept for the
    /// next start, with keys and bodies; what was kept of an identity wins over `identities`.
    pub state: Option<PathBuf>,
    pub dps: DpsOptions,
    /// Faults that come by themselves, at their times after the start.
    pub faults: Vec<TimedFault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            mqtt_port: 0,
            https_port: 0,
            identities: Vec::new(),
            certs: None,
            name: "localhost".to_owned(),
            routes: Vec::new(),
            routing: RoutingOptions::default(),
            files: FileOptions::default(),
            settings: Settings::default(),
            x509_roots: Vec::new(),
            state: None,
            dps: DpsOptions::default(),
            faults: Vec::new(),
        }
    }
}

impl Options {
    /// A device with a generated key.
    #[must_use]
    pub fn device(self, id: &str) -> Self {
        self.identity(Identity::device(id), CredentialOptions::Key(None))
    }

    /// A module of a device, with a generated key.
    #[must_use]
    pub fn module(self, device: &str, module: &str) -> Self {
        self.identity(Identity::module(device, module), CredentialOptions::Key(None))
    }

    /// A device with a certificate.
    #[must_use]
    pub fn x509_device(self, id: &str, thumbprint: &str) -> Self {
        self.identity(Identity::device(id), CredentialOptions::Thumbprints(vec![thumbprint.to_owned()]))
    }

    /// A device with a certificate from one of the authorities of [`Options::x509_root`]; its common
    /// name has to be `id`.
    #[must_use]
    pub fn x509_ca_device(self, id: &str) -> Self {
        self.identity(Identity::device(id), CredentialOptions::Authority)
    }

    /// Trusts the certificate authorities in a file, or in a text of PEM.
    #[must_use]
    pub fn x509_root(mut self, pem: impl Into<String>) -> Self {
        self.x509_roots.push(Pem::from(pem.into()));
        self
    }

    #[must_use]
    pub fn identity(mut self, identity: Identity, credential: CredentialOptions) -> Self {
        self.identities.push(IdentityOptions::new(identity, credential));
        self
    }

    /// Delivers what a module sends to an output, `device/module/output`, to an input of a module
    /// of the same device, `device/module/input`, as the hub of IoT Edge does. The event
    /// `telemetry` comes all the same.
    ///
    /// Up to 500 messages wait for a module, whether it is connected or not, until their PUBACK or
    /// for two hours; what comes on top is dropped. They do not outlive the hub.
    #[must_use]
    pub fn route(mut self, from: &str, to: &str) -> Self {
        self.routes.push((from.to_owned(), to.to_owned()));
        self
    }
}
