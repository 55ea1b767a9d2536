//! `hub.toml`: what a hub is started with, in a file. It fills the same options as the flags.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use crate::dps::DpsOptions;
use crate::files::FileOptions;
use crate::identity::Identity;
use crate::module_routes::Route;
use crate::options::{CredentialOptions, IdentityOptions, Options, Pem};
use crate::routing::{EndpointOptions, RouteOptions, Routing, RoutingOptions};
use crate::scenario::TimedFault;
use crate::settings::Settings;
use crate::setup;
use crate::toml_file::File;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    host: Option<String>,
    mqtt_port: Option<u16>,
    https_port: Option<u16>,
    name: Option<String>,
    certs: Option<PathBuf>,
    files: Option<FileOptions>,
    events: Option<PathBuf>,
    settings: Option<Settings>,
    state: Option<PathBuf>,
    #[serde(default)]
    x509_roots: Vec<Pem>,
    #[serde(default)]
    devices: Vec<Spanned<Device>>,
    #[serde(default)]
    module_routes: Vec<Spanned<ModuleRoute>>,
    #[serde(default)]
    endpoints: Vec<Spanned<EndpointOptions>>,
    #[serde(default)]
    routes: Vec<Spanned<RouteOptions>>,
    fallback_route: Option<bool>,
    dps: Option<DpsOptions>,
    #[serde(default, alias = "fault")]
    faults: Vec<Spanned<TimedFault>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Device {
    id: String,
    key: Option<String>,
    secondary_key: Option<String>,
    thumbprint: Option<String>,
    secondary_thumbprint: Option<String>,
    #[serde(default)]
    ca: bool,
    #[serde(default)]
    status: Status,
    #[serde(default)]
    edge: bool,
    #[serde(default)]
    tags: Map<String, Value>,
    #[serde(default)]
    desired: Map<String, Value>,
    #[serde(default)]
    reported: Map<String, Value>,
    /// Of a device.
    #[serde(default)]
    modules: Vec<Spanned<Device>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    #[default]
    Enabled,
    Disabled,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ModuleRoute {
    from: String,
    to: String,
}

/// Fills `options` with what the file says; where events go, if it says that. The error names the
/// file, the line and the rule.
pub(crate) fn read(path: &Path, options: &mut Options) -> Result<Option<PathBuf>, String> {
    let file = File::read(path)?;
    let config: Config = file.parse()?;
    fn set<T>(option: &mut T, given: Option<T>) {
        if let Some(given) = given {
            *option = given;
        }
    }
    set(&mut options.host, config.host);
    set(&mut options.mqtt_port, config.mqtt_port);
    set(&mut options.https_port, config.https_port);
    set(&mut options.name, config.name);
    set(&mut options.settings, config.settings);
    if let Some(certs) = config.certs {
        options.certs = Some(file.resolve(certs));
    }
    if let Some(state) = config.state {
        options.state = Some(file.resolve(state));
    }
    if let Some(files) = config.files {
        let directory = files.directory.map(|directory| file.resolve(directory));
        options.files = FileOptions { directory, ..files };
    }
    options.x509_roots.extend(config.x509_roots.into_iter().map(|pem| file.resolve_pem(pem)));
    let mut known = BTreeSet::new();
    for device in config.devices {
        identities(&file, device, None, &mut known, &mut options.identities)?;
    }
    for route in config.module_routes {
        let check =
            |route: &ModuleRoute| Route::new(&route.from, &route.to).map(|_| ()).map_err(str::to_owned);
        let ModuleRoute { from, to } = file.checked(route, check)?;
        options.routes.push((from, to));
    }
    set(&mut options.routing.fallback_route, config.fallback_route);
    routing(&file, config.endpoints, config.routes, &mut options.routing)?;
    if let Some(mut dps) = config.dps {
        for root in dps.groups.iter_mut().flat_map(|group| &mut group.roots) {
            *root = file.resolve_pem(root.clone());
        }
        options.dps = dps;
    }
    for fault in config.faults {
        options.faults.push(file.checked(fault, TimedFault::check)?);
    }
    let resolve = |path: PathBuf| if path.as_os_str() == "-" { path } else { file.resolve(path) };
    Ok(config.events.map(resolve))
}

/// Endpoints and then routes; each is checked with those before it, so that the error has its line.
fn routing(
    file: &File,
    endpoints: Vec<Spanned<EndpointOptions>>,
    routes: Vec<Spanned<RouteOptions>>,
    options: &mut RoutingOptions,
) -> Result<(), String> {
    for endpoint in endpoints {
        let start = endpoint.span().start;
        let mut endpoint = endpoint.into_inner();
        endpoint.file = endpoint.file.map(|path| file.resolve(path));
        options.endpoints.push(endpoint);
        Routing::checked(&options.endpoints, &[]).map_err(|rule| file.error(start, &rule))?;
    }
    for route in routes {
        let start = route.span().start;
        options.routes.push(route.into_inner());
        Routing::checked(&options.endpoints, &options.routes).map_err(|rule| file.error(start, &rule))?;
    }
    Ok(())
}

/// A device and its modules, or a module of `parent`.
fn identities(
    file: &File,
    device: Spanned<Device>,
    parent: Option<&str>,
    known: &mut BTreeSet<Identity>,
    identities: &mut Vec<IdentityOptions>,
) -> Result<(), String> {
    let start = device.span().start;
    let device = device.into_inner();
    let identity = match parent {
        None => Identity::device(device.id.as_str()),
        Some(parent) => Identity::module(parent, device.id.as_str()),
    };
    let wrong = |rule: &str| Err(file.error(start, &format!("{identity}: {rule}")));
    let thumbprints: Vec<_> =
        [device.thumbprint, device.secondary_thumbprint].into_iter().flatten().collect();
    let credential = match (device.key, thumbprints.is_empty(), device.ca) {
        (key, true, false) => CredentialOptions::Key(key),
        (None, false, false) => CredentialOptions::Thumbprints(thumbprints),
        (None, true, true) => CredentialOptions::Authority,
        _ => return wrong("only one of key, thumbprint and ca can be meant"),
    };
    if parent.is_some() && (device.edge || !device.modules.is_empty()) {
        return wrong("edge and modules go with a device");
    }
    if !known.insert(identity.clone()) {
        return wrong("is given twice");
    }
    let given = IdentityOptions {
        identity: identity.clone(),
        credential,
        secondary_key: device.secondary_key,
        disabled: device.status == Status::Disabled,
        edge: device.edge,
        tags: device.tags,
        desired: device.desired,
        reported: device.reported,
    };
    if let Err(rule) = setup::check(&given) {
        return wrong(&rule);
    }
    identities.push(given);
    for module in device.modules {
        self::identities(file, module, Some(&device.id), known, identities)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
