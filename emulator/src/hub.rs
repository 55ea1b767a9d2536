//! A hub in the calling process.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::auth::{Authority, Credential, NamedKey};
use crate::broker::{Broker, Parts};
use crate::c2d::CloudMessage;
use crate::certs;
use crate::chain::Roots;
use crate::error::{HubError, StartError};
use crate::events::EventBus;
use crate::faults::Fault;
use crate::files::Files;
use crate::identity::Identity;
use crate::options::Options;
use crate::registry::Record;
use crate::routing::Routing;
use crate::scenario;
use crate::scratch::ScratchDir;
use crate::server::Servers;
use crate::setup;
use crate::store::{Store, Writer};

/// A running hub with a thread of its own; it stops when it is dropped.
///
/// Every method may be called from any thread, whatever runtime that thread has.
#[derive(Debug)]
pub struct Hub {
    broker: Arc<Broker>,
    kept: Option<Writer>,
    name: String,
    mqtt: SocketAddr,
    https: SocketAddr,
    ca_path: std::path::PathBuf,
    ca_pem: String,
    runtime: tokio::runtime::Handle,
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
        let roots =
            Roots::read(&options.x509_roots).map_err(|why| StartError::new(format!("--x509-root {why}")))?;
        let authority = Authority {
            hosts: names,
            policies: setup::policies(&store)?,
            roots,
            tokens: (&options.settings).into(),
        };
        for (number, fault) in (1..).zip(&options.faults) {
            fault.check().map_err(|rule| StartError::new(format!("the fault {number}: {rule}")))?;
        }
        let mut registry = setup::registry(&options, &store)?;
        let mut kept = options.state.as_deref().map(Store::open).transpose()?;
        if let Some(kept) = &mut kept {
            for (identity, entry) in kept.read(&options.settings)? {
                registry.insert(identity, entry);
            }
        }
        let routes = setup::routes(&options, &registry)?;
        let routing = Routing::new(&options.routing).map_err(StartError::new)?;
        let files = Files::new(&options.files).map_err(StartError::new)?;
        let dps = setup::dps(&options, &store)?;
        let settings = options.settings;
        let broker =
            Arc::new(Broker::new(Parts { authority, registry, routes, routing, files, dps, settings }));
        let subscribed = subscribe(&broker.events);

        let mqtt_listener = setup::bind(&options.host, options.mqtt_port, "--mqtt-port", 8883)?;
        let https_listener = setup::bind(&options.host, options.https_port, "--https-port", 8443)?;
        let local = |listener: &TcpListener| {
            listener.local_addr().map_err(|e| StartError::new(format!("a bound address: {e}")))
        };
        let (mqtt, https) = (local(&mqtt_listener)?, local(&https_listener)?);
        broker.files.set_host(&options.name, https.port());
        let servers = Servers::new(mqtt_listener, https_listener, &store, broker.clone())?;
        let kept = kept.map(|kept| Writer::start(kept, broker.clone())).transpose()?;
        let (stop, stopped) = oneshot::channel();
        let (thread, runtime) = servers.run_on_a_thread(stopped)?;
        scenario::start(&options.faults, &broker, &runtime);
        let hub = Self {
            kept,
            broker,
            name: options.name,
            mqtt,
            https,
            ca_path: store.ca_path,
            ca_pem: store.ca_pem,
            runtime,
            stop: Some(stop),
            thread: Some(thread),
            _scratch: scratch,
        };
        Ok((hub, subscribed))
    }

    #[cfg(test)]
    pub(crate) fn broker_of_tests(&self) -> Arc<Broker> {
        self.broker.clone()
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
        self.broker.connection_string(&Identity::parse(id))
    }

    /// The connection string of the policy `iothubowner`, for back-ends.
    pub fn service_connection_string(&self) -> String {
        let key = self.policy_key("iothubowner").unwrap_or_default();
        format!("HostName={};SharedAccessKeyName=iothubowner;SharedAccessKey={key}", self.name)
    }

    /// The id scope of the provisioning service, which listens where the hub does.
    pub fn id_scope(&self) -> &str {
        self.broker.dps.id_scope()
    }

    /// The primary key of an individual enrollment; `None` where there is none with a key.
    pub fn enrollment_key(&self, registration: &str) -> Option<&str> {
        self.broker.dps.enrollment_key(registration)
    }

    /// The primary key of an enrollment group, or with a registration id that of one of its devices;
    /// `None` where there is no such group with keys.
    pub fn group_key(&self, name: &str, registration: Option<&str>) -> Option<String> {
        self.broker.dps.group_key(name, registration)
    }

    pub(crate) fn provisioning(&self) -> crate::dps::Summary {
        self.broker.dps.summary()
    }

    /// The key in base64 of a shared access policy: `iothubowner`, `service`, `device`,
    /// `registryRead` or `registryReadWrite`.
    pub fn policy_key(&self, name: &str) -> Option<String> {
        let policy = self.broker.authority.policies.iter().find(|policy| policy.name == name)?;
        Some(policy.key.base64.clone())
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

    /// Queues a message for an input of `device/module`, as if it came from a module that sends no
    /// name of its own; its message id.
    ///
    /// Its topic has the message's properties and then those of the system that are set, `$.mid`
    /// always. Properties `$.cdid` and `$.cmid` may name a sender.
    ///
    /// # Errors
    /// 404010 for an unknown module, 400 for a name that is no input's, 403004 for a full queue,
    /// 413001 for a body above 256 KiB.
    pub fn send_input(&self, id: &str, input: &str, message: CloudMessage) -> Result<String, HubError> {
        self.broker.send_input(&Identity::parse(id), input, message)
    }

    /// Registers `device` or `device/module` with new keys; its connection string.
    ///
    /// # Errors
    /// 409001 or 409301 where it is registered, 404001 for a module of an unknown device, 413003
    /// for its 51st module, 400 for an invalid id.
    pub fn create(&self, id: &str) -> Result<String, HubError> {
        let identity = Identity::parse(id);
        let keys = Credential::Keys(Box::new([NamedKey::random()?, NamedKey::random()?]));
        self.broker.create(&identity, Record::new(keys))?;
        self.connection_string(id).ok_or_else(|| HubError::not_found(&identity))
    }

    /// Enables or disables `device` or `device/module`. Disabling closes its connection, and those
    /// of a device's modules.
    ///
    /// # Errors
    /// 404001 or 404010 where it is not registered.
    pub fn set_enabled(&self, id: &str, enabled: bool) -> Result<(), HubError> {
        self.broker.change(&Identity::parse(id), None, |record| {
            record.enabled = enabled;
            Ok(())
        })
    }

    /// Deletes `device` or `device/module`, a device with its modules, and closes its connection.
    ///
    /// # Errors
    /// 404001 or 404010 where it is not registered.
    pub fn delete(&self, id: &str) -> Result<(), HubError> {
        self.broker.delete(&Identity::parse(id), None)
    }

    /// Takes every cloud-to-device message out of a device's queue; how many there were.
    ///
    /// # Errors
    /// 404001 for an unknown device.
    pub fn purge(&self, device: &str) -> Result<usize, HubError> {
        self.broker.purge(device)
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
    /// # Errors
    /// 404103 for a device that is not there, 504101 for one that does not answer in time, 502000
    /// for an answer that is not JSON or above 128 KiB, 413001 for such a payload.
    pub fn call_method(
        &self,
        id: &str,
        name: &str,
        payload: Option<&Value>,
        connect: Duration,
        response: Duration,
    ) -> Result<(u16, Value), HubError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let broker = self.broker.clone();
        let identity = Identity::parse(id);
        let (name, payload) = (name.to_owned(), payload.cloned());
        self.runtime.spawn(async move {
            let result = broker.call_method(&identity, &name, payload.as_ref(), connect, response).await;
            // The caller waits until this is sent.
            let _ = sender.send(result);
        });
        let stopped = |_| HubError::new(500_001, "ServerError", "the hub stopped");
        receiver.recv().map_err(stopped)?
    }

    /// Ends as dropping does; the error says what could not be kept.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        self.shut()
    }

    fn shut(&mut self) -> Result<(), String> {
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // After it nothing changes any more.
        let kept = self.kept.take().map_or(Ok(()), |mut kept| kept.finish());
        self.broker.events.close();
        self.broker.routing.close();
        kept
    }

    pub fn is_connected(&self, id: &str) -> bool {
        self.broker.is_connected(&Identity::parse(id))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Who wants to know whether everything could be kept calls `stop`.
        let _ = self.shut();
    }
}
