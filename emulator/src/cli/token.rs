//! `token`: a SAS token, for a client that makes none itself.

use clap::Args;
use hyper::Method;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};

use super::output::print;
use super::reach::Reach;
use super::service::{self, API, Service};
use crate::certs;
use crate::identity::Identity;
use crate::running;
use crate::setup;
use crate::time::unix_now;

/// Prints one line. The token of a device or module is signed with its primary key and is the
/// password of its CONNECT; without one it is a back-end's, for the header Authorization.
#[derive(Debug, Args)]
pub(super) struct Token {
    /// The device, or the module of one.
    #[arg(value_name = "DEVICE[/MODULE]")]
    id: Option<String>,
    /// A back-end's token of this policy: iothubowner, service, device, registryRead or
    /// registryReadWrite; without it that of the service connection string.
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    policy: Option<String>,
    /// How long it holds; negative for one that has expired already.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, allow_negative_numbers = true)]
    expires_in: i64,
    /// Print a command of curl that asks the hub for this path instead, for example /twins/ID.
    #[arg(long, value_name = "PATH", conflicts_with = "id")]
    curl: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

impl Token {
    pub(super) fn run(&self) -> Result<(), String> {
        let service = self.reach.service()?;
        let line = match (&self.id, &self.curl) {
            (Some(id), _) => self.of_identity(&service, id)?,
            (None, None) => self.of_policy(&service)?,
            (None, Some(path)) => curl(&service, &self.of_policy(&service)?, path),
        };
        print(line)
    }

    fn expiry(&self) -> u64 {
        unix_now().saturating_add_signed(self.expires_in)
    }

    fn of_policy(&self, service: &Service) -> Result<String, String> {
        let resource = sas::encode_resource(&service.name);
        match &self.policy {
            Some(policy) if *policy != service.policy => {
                // What is not in the connection string comes from the same secret as there. Where no
                // hub runs, none is made.
                running::read(self.reach.directory())?;
                let secret = certs::secret(self.reach.directory()).map_err(|e| e.to_string())?;
                let key = setup::policy_key(&secret, policy)
                    .map_err(|e| e.to_string())?
                    .ok_or_else(|| format!("--policy {policy}: the hub has no such policy"))?;
                Ok(sas::token(&resource, &key.key, self.expiry(), Some(policy)))
            }
            _ => Ok(service.token(self.expiry())),
        }
    }

    /// Signed with the primary key that the hub has now.
    fn of_identity(&self, service: &Service, id: &str) -> Result<String, String> {
        let path = format!("/devices/{}?{API}", service::target(id));
        let registered = service.call(Method::GET, &path, &[], String::new())?.json()?;
        let key = registered["authentication"]["symmetricKey"]["primaryKey"].as_str();
        let key = key.ok_or_else(|| format!("{id} has no key: it does not log in with a token"))?;
        let key = SharedAccessKey::from_base64(key).map_err(|e| format!("{id}: {e}"))?;
        let identity = Identity::parse(id);
        let mut resource = format!("{}/devices/{}", service.name, identity.device_id());
        if let Some(module) = identity.module_id() {
            resource.push_str("/modules/");
            resource.push_str(module);
        }
        Ok(sas::token(&sas::encode_resource(&resource), &key, self.expiry(), None))
    }
}

/// A command line for a shell: the name of the hub need not resolve.
fn curl(service: &Service, token: &str, path: &str) -> String {
    let Service { name, host, port, ca, .. } = service;
    let path = path.trim_start_matches('/');
    let query = match path.split_once('?') {
        None => format!("?{API}"),
        Some((_, given)) if given.split('&').any(|part| part.starts_with("api-version=")) => String::new(),
        Some(_) => format!("&{API}"),
    };
    format!(
        "curl --silent --show-error --cacert {} --connect-to {} --header {} {}",
        quoted(&ca.to_string_lossy()),
        quoted(&format!("{name}:{port}:{host}:{port}")),
        quoted(&format!("Authorization: {token}")),
        quoted(&format!("https://{name}:{port}/{path}{query}")),
    )
}

/// As one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
