//! A hub in the calling process.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::auth::{Authority, Credential, NamedKey, POLICIES, Policy};
use crate::broker::Broker;
use crate::c2d::CloudMessage;
use crate::certs::{self, Store};
use crate::error::{HubError, StartError};
use crate::events::EventBus;
use crate::faults::Fault;
use crate::identity::Identity;
use crate::options::{CredentialOptions, Options};
use crate::registry::{Entry, Registry};
use crate::scratch::ScratchDir;
use crate::server::Servers;

/// A running hub with a thread of its own; it stops when it is dropped.
///
/// Every method may be called from any thread, whatever runtime that thread has.
#[derive(Debug)]
pub struct Hub {
    broker: Arc<Broker>,
    name: String,
    mqtt: SocketAddr,
    https: SocketAddr,
    ca_path: std::path::PathBuf,
    ca_pem: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _scratch: Option<ScratchDir>,
}

impl Hub {
    /// Starts a hub; it accepts connections when this returns.
    ///
    /// # Errors
    /// An address that cannot be bound, unusable files under `certs`, a contradiction in the options.
    pub fn start(options: Options) -> Result<Self, StartError> {
        Self::launch(options, |_| ()).map(|(hub, ())| hub)
    }

    /// Like [`Hub::start`], with a receiver that misses no event.
    ///
    /// # Errors
    /// As [`Hub::start`].
    pub fn start_recorded(options: Options) -> Result<(Self, mpsc::Receiver<Value>), StartError> {
        Self::launch(options, EventBus::values)
    }

    /// `subscribe` is called before the first client can connect.
    pub(crate) fn launch<T>(
        options: Options,
        subscribe: impl FnOnce(&EventBus) -> T,
    ) -> Result<(Self, T), StartError> {
        let scratch = match options.certs {
            Some(_) => None,
            None => {
                let made = ScratchDir::new();
                Some(made.map_err(|e| StartError::new(format!("a temporary directory: {e}")))?)
            }
        };
        let dir = match (&options.certs, &scratch) {
            (Some(dir), _) => dir.as_path(),
            (None, Some(scratch)) => scratch.path(),
            (None, None) => Path::new("."),
        };
        let mut names: Vec<String> = Vec::new();
        for name in [options.name.as_str(), options.host.as_str(), "localhost", "127.0.0.1"] {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.to_owned());
            }
        }
        let store = certs::open(dir, &names)?;
        let authority = Authority { hosts: names, policies: policies(&store)? };
        let registry = registry(&options, &store)?;
        let broker = Arc::new(Broker::new(authority, registry, options.timing));
        let subscribed = subscribe(&broker.events);

        let mqtt_listener = bind(&options.host, options.mqtt_port, "--mqtt-port", 8883)?;
        let https_listener = bind(&options.host, options.https_port, "--https-port", 8443)?;
        let local = |listener: &TcpListener| {
            listener.local_addr().map_err(|e| StartError::new(format!("a bound address: {e}")))
        };
        let (mqtt, https) = (local(&mqtt_listener)?, local(&https_listener)?);
        let servers = Servers::new(mqtt_listener, https_listener, &store, broker.clone())?;
        let (stop, stopped) = oneshot::channel();
        let thread = servers.run_on_a_thread(stopped)?;
        let hub = Self {
            broker,
            name: options.name,
            mqtt,
            https,
            ca_path: store.ca_path,
            ca_pem: store.ca_pem,
            stop: Some(stop),
            thread: Some(thread),
            _scratch: scratch,
        };
        Ok((hub, subscribed))
    }

    /// The host name of the connection strings.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where MQTT over TLS is spoken.
    pub fn mqtt_address(&self) -> SocketAddr {
        self.mqtt
    }

    pub fn mqtt_port(&self) -> u16 {
        self.mqtt.port()
    }

    /// Where HTTPS is spoken.
    pub fn https_address(&self) -> SocketAddr {
        self.https
    }

    pub fn https_port(&self) -> u16 {
        self.https.port()
    }

    /// The file with the certificate of the authority that clients have to trust.
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Every identity, as `device` or `device/module`, in order.
    pub fn identities(&self) -> Vec<Identity> {
        self.broker.state().registry.identities()
    }

    /// The connection string of `device` or `device/module`; `None` where it is not registered.
    pub fn connection_string(&self, id: &str) -> Option<String> {
        let identity = Identity::parse(id);
        let state = self.broker.state();
        let entry = state.registry.get(&identity)?;
        let mut text = format!("HostName={};DeviceId={}", self.name, identity.device_id());
        if let Some(module) = identity.module_id() {
            text.push_str(";ModuleId=");
            text.push_str(module);
        }
        match &entry.credential {
            Credential::Keys(keys) => {
                text.push_str(";SharedAccessKey=");
                text.push_str(&keys[0].base64);
            }
            Credential::Thumbprints(_) => text.push_str(";x509=true"),
        }
        Some(text)
    }

    /// The connection string of the policy `iothubowner`, for back-ends.
    pub fn service_connection_string(&self) -> String {
        let owner = self.broker.authority.policies.iter().find(|policy| policy.name == "iothubowner");
        let key = owner.map_or("", |policy| policy.key.base64.as_str());
        format!("HostName={};SharedAccessKeyName=iothubowner;SharedAccessKey={key}", self.name)
    }

    /// Every event from now on, the same JSON that the program writes.
    pub fn events(&self) -> mpsc::Receiver<Value> {
        self.broker.events.values()
    }

    /// Queues a cloud-to-device message; its message id.
    ///
    /// # Errors
    /// 404001 for an unknown device, 403004 for a full queue, 413001 for a body above 64 KiB.
    pub fn send_c2d(&self, device: &str, message: CloudMessage) -> Result<String, HubError> {
        self.broker.send_c2d(device, message)
    }

    /// Arms a fault; how many live connections it has reached at once.
    ///
    /// # Errors
    /// An unknown fault or device, fields that do not go with the fault.
    pub fn fault(&self, fault: &Fault) -> Result<usize, HubError> {
        self.broker.fault(fault)
    }

    /// The twin of `device` or `device/module` in the service's form.
    pub fn twin(&self, id: &str) -> Option<Value> {
        self.broker.twin(&Identity::parse(id)).ok()
    }

    /// Merges `desired` into the desired properties; the new twin.
    ///
    /// # Errors
    /// 404001 for an unknown identity, 400 where a rule for twins is broken.
    pub fn update_desired(&self, id: &str, desired: &Value) -> Result<Value, HubError> {
        let change = serde_json::json!({ "properties": { "desired": desired } });
        let empty = serde_json::Map::new();
        self.broker.update_twin(&Identity::parse(id), change.as_object().unwrap_or(&empty), false, None)
    }

    /// Calls a direct method and blocks until the device answers: its status and its JSON.
    /// `connect` is how long the device may take to connect and subscribe.
    ///
    /// Not to be called from a thread that runs an async runtime.
    ///
    /// # Errors
    /// 404103 for a device that is not there, 504101 for one that does not answer in time.
    pub fn call_method(
        &self,
        id: &str,
        name: &str,
        payload: Option<&Value>,
        connect: Duration,
        response: Duration,
    ) -> Result<(u16, Value), HubError> {
        let internal = |e: std::io::Error| HubError::new(500_001, "ServerError", e.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(internal)?;
        runtime.block_on(self.broker.call_method(&Identity::parse(id), name, payload, connect, response))
    }

    pub fn is_connected(&self, id: &str) -> bool {
        self.broker.is_connected(&Identity::parse(id))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.broker.events.close();
    }
}

fn bind(host: &str, port: u16, option: &str, unprivileged: u16) -> Result<TcpListener, StartError> {
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
fn generated_key(store: &Store, label: &str) -> Result<NamedKey, StartError> {
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &store.secret);
    let key = ring::hmac::sign(&secret, label.as_bytes());
    NamedKey::new(&STANDARD.encode(key.as_ref())).map_err(|e| StartError::new(e.to_string()))
}

fn policies(store: &Store) -> Result<Vec<Policy>, StartError> {
    POLICIES
        .iter()
        .map(|name| Ok(Policy { name, key: generated_key(store, &format!("policy {name}"))? }))
        .collect()
}

fn registry(options: &Options, store: &Store) -> Result<Registry, StartError> {
    let mut registry = Registry::default();
    // Devices first, so that a module finds its own wherever it stands.
    let (devices, modules): (Vec<_>, Vec<_>) =
        options.identities.iter().partition(|given| given.identity.module_id().is_none());
    for given in devices.into_iter().chain(modules) {
        let identity = &given.identity;
        let failed = |rule: &str| StartError::new(format!("{identity}: {rule}"));
        if !identity.is_valid() {
            return Err(failed("an id has 1 to 128 letters, digits or characters of -.+%_#*?!(),=@$':;"));
        }
        if registry.get(identity).is_some() {
            return Err(failed("is given twice"));
        }
        if identity.module_id().is_some() && registry.get(&Identity::device(identity.device_id())).is_none() {
            return Err(failed("its device is not given"));
        }
        let credential = match &given.credential {
            CredentialOptions::Key(key) => {
                let primary = match key {
                    Some(key) => NamedKey::new(key).map_err(|e| failed(&e.to_string()))?,
                    None => generated_key(store, &format!("primary {identity}"))?,
                };
                Credential::Keys(Box::new([primary, generated_key(store, &format!("secondary {identity}"))?]))
            }
            CredentialOptions::Thumbprints(thumbprints) => {
                let good = |text: &String| {
                    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
                };
                if thumbprints.is_empty() || !thumbprints.iter().all(good) {
                    return Err(failed("a thumbprint has 40 (SHA-1) or 64 (SHA-256) hexadecimal digits"));
                }
                Credential::Thumbprints(thumbprints.clone())
            }
        };
        registry.insert(identity.clone(), Entry::new(credential));
    }
    Ok(registry)
}
