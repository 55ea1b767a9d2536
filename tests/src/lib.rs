//! What the tests of the whole library stand on: a local hub, a network that misbehaves when asked
//! to, and a client whose story is recorded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod broker;
pub mod http_proxy;
pub mod proxy;
pub mod tls_server;
pub mod workload;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use iothub_emulator::{Hub, Options};
use iothub_mqtt::{Config, ConnectionState, DeviceClient, Status};
use serde_json::Value;

/// Longer than anything here takes on a busy machine; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A hub with one device, and all that it says.
#[derive(Debug)]
pub struct Local {
    /// Shared with the threads of back-ends.
    pub hub: Arc<Hub>,
    pub events: Receiver<Value>,
}

pub const DEVICE: &str = "device-1";

impl Local {
    pub fn start() -> Self {
        Self::with(Options::default().device(DEVICE))
    }

    pub fn with(options: Options) -> Self {
        let (hub, events) = Hub::start_recorded(options).unwrap();
        Self { hub: Arc::new(hub), events }
    }

    /// The options of `id`, impatient enough for a test.
    pub fn config(&self, id: &str) -> Config {
        let mut config = Config::new();
        config.set_connection_string(&self.hub.connection_string(id).unwrap()).unwrap();
        config.tuning.set_port(self.hub.mqtt_port()).unwrap();
        config.tuning.set_trusted_roots(self.hub.ca_pem().as_bytes()).unwrap();
        config.tuning.set_backoff(Duration::from_millis(10), Duration::from_millis(50)).unwrap();
        config.tuning.set_slow_backoff(Duration::from_millis(50), Duration::from_millis(100)).unwrap();
        config
    }

    /// The next event of this kind.
    pub fn event(&self, kind: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no event {kind:?}"));
            if event["event"] == kind {
                return event;
            }
        }
    }
}

/// A threaded client and its changes of state.
#[derive(Debug)]
pub struct Recorded {
    pub client: DeviceClient,
    pub changes: Receiver<Status>,
}

impl Recorded {
    pub fn new(config: Config) -> Self {
        let client = DeviceClient::threaded(config).unwrap();
        let (sender, changes) = mpsc::channel();
        client.on_status(Some(Box::new(move |status| sender.send(status.clone()).unwrap_or_default())));
        Self { client, changes }
    }

    pub fn connected(config: Config) -> Self {
        let this = Self::new(config);
        wait(this.client.connect().unwrap()).unwrap();
        this.until(ConnectionState::Connected);
        this
    }

    pub fn until(&self, state: ConnectionState) -> Status {
        loop {
            let status = self.changes.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("never {state:?}"));
            if status.state == state {
                return status;
            }
        }
    }

    /// The next status with a cause.
    pub fn fault(&self) -> Status {
        loop {
            let status = self.changes.recv_timeout(PATIENCE).expect("no fault");
            if status.cause.is_some() {
                return status;
            }
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.client.free();
    }
}

/// The answer, or a panic if there is none for too long.
pub fn wait(pending: iothub_mqtt::Pending) -> iothub_mqtt::Result<iothub_mqtt::Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, pending).await.expect("no answer") })
}
