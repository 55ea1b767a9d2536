//! The options that IoT Edge gives its modules in their environment.

use std::fs;
use std::path::PathBuf;

use super::Config;
use super::credentials::Source;
use crate::error::{Error, Result};
use crate::hub::Identity;
use crate::io::{Address, Workload};

/// What every daemon of IoT Edge speaks.
const API_VERSION: &str = "2018-06-28";

impl Config {
    /// Identity, gateway, credentials and roots of a module from the environment that IoT Edge starts it
    /// with: `IOTEDGE_IOTHUBHOSTNAME`, `IOTEDGE_GATEWAYHOSTNAME`, `IOTEDGE_DEVICEID`, `IOTEDGE_MODULEID`,
    /// `IOTEDGE_MODULEGENERATIONID`, `IOTEDGE_WORKLOADURI` (`unix://path`, or `http://host:port` for
    /// development), `IOTEDGE_AUTHSCHEME` (`sasToken`), `IOTEDGE_APIVERSION` (default 2018-06-28).
    ///
    /// Tokens are signed by the daemon's workload API, which is also asked for the roots to trust, unless
    /// [`Tuning::set_trusted_roots`] has set some; both for each connection.
    ///
    /// With `EdgeHubConnectionString` or else `IotHubConnectionString`, as the development tools set them,
    /// that string is used instead, and the roots in the file `EdgeModuleCACertificateFile` if it is set.
    ///
    /// # Errors
    /// `Argument`, with the name of the variable and the rule. Nothing is changed then.
    ///
    /// [`Tuning::set_trusted_roots`]: crate::Tuning::set_trusted_roots
    pub fn set_edge_environment(&mut self) -> Result<()> {
        self.set_edge_variables(|name| std::env::var(name).ok())
    }

    /// As [`Config::set_edge_environment`], with variables from elsewhere.
    pub fn set_edge_variables(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<()> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        for name in ["EdgeHubConnectionString", "IotHubConnectionString"] {
            if let Some(text) = given(name) {
                return self.set_development(name, &text, given("EdgeModuleCACertificateFile"));
            }
        }
        let required = |name: &str| {
            given(name).ok_or_else(|| Error::argument(name, "is not set: this is no module of IoT Edge"))
        };
        let scheme = required("IOTEDGE_AUTHSCHEME")?;
        if !scheme.eq_ignore_ascii_case("sasToken") {
            return Err(Error::argument("IOTEDGE_AUTHSCHEME", "must be sasToken, the only one known"));
        }
        let module_id = required("IOTEDGE_MODULEID")?;
        let identity = Identity::new(
            &required("IOTEDGE_IOTHUBHOSTNAME")?,
            &required("IOTEDGE_DEVICEID")?,
            Some(&module_id),
        )
        .map_err(|error| Error::argument("IOTEDGE_*", error))?;
        let workload = Workload {
            address: address(&required("IOTEDGE_WORKLOADURI")?)?,
            module_id,
            generation_id: required("IOTEDGE_MODULEGENERATIONID")?,
            api_version: given("IOTEDGE_APIVERSION").unwrap_or_else(|| API_VERSION.to_owned()),
        };
        let gateway = given("IOTEDGE_GATEWAYHOSTNAME");
        match &gateway {
            Some(host) => {
                self.set_gateway(host).map_err(|error| Error::argument("IOTEDGE_GATEWAYHOSTNAME", error))?;
            }
            None => self.gateway = None,
        }
        self.identity = Some(identity);
        self.credential = Some(Source::Edge { workload, through_gateway: gateway.is_some() });
        Ok(())
    }

    fn set_development(&mut self, name: &str, text: &str, roots: Option<String>) -> Result<()> {
        let mut changed = self.clone();
        changed.set_connection_string(text).map_err(|error| Error::argument(name, error))?;
        if let Some(path) = roots {
            let named = |error: &dyn std::fmt::Display| {
                Error::argument("EdgeModuleCACertificateFile", format_args!("{path}: {error}"))
            };
            let pem = fs::read(&path).map_err(|error| named(&error))?;
            changed.tuning.set_trusted_roots(&pem).map_err(|error| named(&error))?;
        }
        *self = changed;
        Ok(())
    }
}

fn address(uri: &str) -> Result<Address> {
    let wrong = || Error::argument("IOTEDGE_WORKLOADURI", "must be unix://path or http://host:port");
    let uri = uri.trim().trim_end_matches('/');
    if let Some(path) = uri.strip_prefix("unix://") {
        return if path.is_empty() { Err(wrong()) } else { Ok(Address::Unix(PathBuf::from(path))) };
    }
    let authority = uri.strip_prefix("http://").ok_or_else(wrong)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if authority.is_empty() || !authority.chars().all(allowed) {
        return Err(wrong());
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(Address::Tcp(if has_port { authority.to_owned() } else { format!("{authority}:80") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (uri, expected) in [
            ("unix:///var/run/iotedge/workload.sock", Some("unix:///var/run/iotedge/workload.sock")),
            ("unix:///run/workload.sock/", Some("unix:///run/workload.sock")),
            ("http://172.17.0.1:15581", Some("http://172.17.0.1:15581")),
            ("http://localhost/", Some("http://localhost:80")),
            ("http://[::1]:15581/", Some("http://[::1]:15581")),
            ("unix://", None),
            ("http://", None),
            ("http://host/path", None),
            ("http://host\r\nX: y", None),
            ("https://host", None),
            ("/run/workload.sock", None),
        ] {
            let found = address(uri).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{uri:?}");
        }
    }
}
