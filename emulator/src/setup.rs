//! What a hub is made of before it runs: its sockets, its keys, its identities.

use std::net::{TcpListener, ToSocketAddrs as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::{Credential, NamedKey, POLICIES, Policy};
use crate::certs::Store;
use crate::dps::Dps;
use crate::error::StartError;
use crate::identity::Identity;
use crate::module_routes::Route;
use crate::options::{CredentialOptions, IdentityOptions, Options};
use crate::registry::{Entry, Record, Registry};
use crate::settings::TwinSize;
use crate::time::now_text;
use crate::tls::is_thumbprint;
use crate::twins::Twin;

/// A listening socket; `option` and `unprivileged` are for the error's advice.
pub(crate) fn bind(
    host: &str,
    port: u16,
    option: &str,
    unprivileged: u16,
) -> Result<TcpListener, StartError> {
    let failed = |why: String| StartError::new(format!("{option} {port} on {host}: {why}"));
    let address = (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| StartError::new(format!("--host {host}: is no address and no name of one")))?;
    let listener = TcpListener::bind(address).map_err(|error| {
        failed(match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                format!("may not be bound without privileges; {option} {unprivileged} may")
            }
            std::io::ErrorKind::AddrInUse => format!("is in use; {option} 0 asks for a free port"),
            _ => error.to_string(),
        })
    })?;
    listener.set_nonblocking(true).map_err(|error| failed(error.to_string()))?;
    Ok(listener)
}

/// A key that stays the same as long as the secret does.
pub(crate) fn generated_key(secret: &[u8], label: &str) -> Result<NamedKey, StartError> {
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let key = ring::hmac::sign(&secret, label.as_bytes());
    NamedKey::new(&STANDARD.encode(key.as_ref())).map_err(|e| StartError::new(e.to_string()))
}

/// Names in which a device calls the provisioning service; the digits come from the secret.
fn id_scope(store: &Store) -> String {
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &store.secret);
    let digits = ring::hmac::sign(&secret, b"id scope");
    digits.as_ref().iter().take(8).fold("0ne".to_owned(), |scope, byte| format!("{scope}{}", byte % 10))
}

/// The provisioning service.
pub(crate) fn dps(options: &Options, store: &Store) -> Result<Dps, StartError> {
    let generate = |label: &str| generated_key(&store.secret, label).map_err(|e| e.to_string());
    Dps::new(&options.dps, id_scope(store), &options.name, generate)
        .map_err(|why| StartError::new(format!("provisioning: {why}")))
}

pub(crate) fn policies(store: &Store) -> Result<Vec<Policy>, StartError> {
    let policy = |name| Ok(Policy { name, key: generated_key(&store.secret, &format!("policy {name}"))? });
    POLICIES.into_iter().map(policy).collect()
}

/// The key of one policy; `None` where the hub has none of that name.
pub(crate) fn policy_key(secret: &[u8], name: &str) -> Result<Option<NamedKey>, StartError> {
    match POLICIES.contains(&name) {
        true => generated_key(secret, &format!("policy {name}")).map(Some),
        false => Ok(None),
    }
}

pub(crate) fn registry(options: &Options, store: &Store) -> Result<Registry, StartError> {
    let mut registry = Registry::default();
    // Devices first, so that a module finds its own wherever it stands.
    let (devices, modules): (Vec<_>, Vec<_>) =
        options.identities.iter().partition(|given| given.identity.module_id().is_none());
    for given in devices.into_iter().chain(modules) {
        let identity = &given.identity;
        let failed = |rule: &str| StartError::new(format!("{identity}: {rule}"));
        check(given).map_err(|rule| failed(&rule))?;
        if registry.get(identity).is_some() {
            return Err(failed("is given twice"));
        }
        if identity.module_id().is_some() && registry.get(&Identity::device(identity.device_id())).is_none() {
            return Err(failed("its device is not given"));
        }
        let credential = match &given.credential {
            CredentialOptions::Key(primary) => {
                let key = |given: Option<&String>, label: &str| match given {
                    Some(key) => NamedKey::new(key).map_err(|e| failed(&e.to_string())),
                    None => generated_key(&store.secret, &format!("{label} {identity}")),
                };
                let secondary = key(given.secondary_key.as_ref(), "secondary")?;
                Credential::Keys(Box::new([key(primary.as_ref(), "primary")?, secondary]))
            }
            CredentialOptions::Thumbprints(thumbprints) => Credential::Thumbprints(thumbprints.clone()),
            CredentialOptions::Authority => Credential::Authority,
        };
        let mut record = Record::new(credential);
        record.enabled = !given.disabled;
        if given.edge {
            record.set_edge(identity.device_id(), true);
        }
        let mut entry = Entry::new(record);
        entry.twin = twin(given).map_err(|rule| failed(&rule))?;
        registry.insert(identity.clone(), entry);
    }
    Ok(registry)
}

/// The twin that an identity starts with.
fn twin(given: &IdentityOptions) -> Result<Twin, String> {
    let now = now_text();
    let mut twin = Twin::new(&now);
    if !given.tags.is_empty() {
        twin.tag(&given.tags, false, TwinSize::Counted).map_err(|rule| format!("tags: {rule}"))?;
    }
    if !given.desired.is_empty() {
        twin.desire(&given.desired, false, &now, TwinSize::Counted)
            .map_err(|rule| format!("desired: {rule}"))?;
    }
    if !given.reported.is_empty() {
        twin.report(&given.reported, &now, TwinSize::Counted).map_err(|rule| format!("reported: {rule}"))?;
    }
    Ok(twin)
}

/// Whether an identity can be meant, looked at alone; the error is the rule that it breaks.
pub(crate) fn check(given: &IdentityOptions) -> Result<(), String> {
    if !given.identity.is_valid() {
        return Err("an id has 1 to 128 letters, digits or characters of -.+%_#*?!(),=@$':;".into());
    }
    match &given.credential {
        CredentialOptions::Key(primary) => {
            for key in [primary, &given.secondary_key].into_iter().flatten() {
                NamedKey::new(key).map_err(|e| e.to_string())?;
            }
        }
        _ if given.secondary_key.is_some() => return Err("a secondary key goes with a key".into()),
        CredentialOptions::Thumbprints(thumbprints) => {
            if thumbprints.is_empty() || !thumbprints.iter().all(|text| is_thumbprint(text)) {
                return Err("a thumbprint has 40 (SHA-1) or 64 (SHA-256) hexadecimal digits".into());
            }
        }
        CredentialOptions::Authority => {}
    }
    twin(given).map(|_| ())
}

/// The routes between modules; both ends of each have to be there.
pub(crate) fn routes(options: &Options, registry: &Registry) -> Result<Vec<Route>, StartError> {
    let routes = options.routes.iter().map(|(from, to)| {
        let failed = |rule: String| StartError::new(format!("the route {from}={to}: {rule}"));
        let route = Route::new(from, to).map_err(|rule| failed(rule.to_owned()))?;
        for end in [&route.sender, &route.receiver] {
            if registry.get(end).is_none() {
                return Err(failed(format!("the module {end} is not given")));
            }
        }
        Ok(route)
    });
    routes.collect()
}
