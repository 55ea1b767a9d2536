//! What a hub is started with.

use std::path::PathBuf;

use crate::identity::Identity;
use crate::settings::Settings;

/// How an identity proves itself.
#[derive(Clone, PartialEq, Eq)]
pub enum CredentialOptions {
    /// The primary key in base64; made from the secret under `certs` where it is absent. The
    /// secondary key always is.
    Key(Option<String>),
    /// SHA-1 (40 hexadecimal digits) or SHA-256 (64) of the certificate; one or two of them.
    Thumbprints(Vec<String>),
    /// A certificate in its name from an authority that the hub trusts.
    Authority,
}

impl std::fmt::Debug for CredentialOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key(hidden)"),
            Self::Thumbprints(thumbprints) => f.debug_tuple("Thumbprints").field(thumbprints).finish(),
            Self::Authority => f.write_str("Authority"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct IdentityOptions {
    pub identity: Identity,
    pub credential: CredentialOptions,
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
    /// How the hub behaves where IoT Hub's own way is open, and times that a test may not want to wait for.
    pub settings: Settings,
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
            settings: Settings::default(),
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

    #[must_use]
    pub fn identity(mut self, identity: Identity, credential: CredentialOptions) -> Self {
        self.identities.push(IdentityOptions { identity, credential });
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
