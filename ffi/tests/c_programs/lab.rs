//! The surroundings of one run: a local hub with two devices and a module.

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use iothub_emulator::{Hub, Options};
use serde_json::Value;

/// Longer than anything takes on a busy machine, under valgrind too; only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const DEVICE: &str = "device";

/// A hub, and all that it says.
pub(crate) struct Lab {
    pub(crate) hub: Hub,
    pub(crate) events: Receiver<Value>,
}

/// With the identities that most programs use.
pub(crate) fn usual(options: Options) -> Options {
    options.device(DEVICE).device("second").module(DEVICE, "module")
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(usual(Options::default()))
    }

    pub(crate) fn with(options: Options) -> Self {
        let (hub, events) = Hub::start_recorded(options).unwrap();
        Self { hub, events }
    }

    /// As [`Lab::addressed`], with the keys and certificates of every other hub of `certs`.
    pub(crate) fn lasting(certs: &Path) -> Options {
        Options { certs: Some(certs.to_owned()), ..Self::addressed() }
    }

    /// Without a name that has to be looked up.
    pub(crate) fn addressed() -> Options {
        usual(Options { name: "127.0.0.1".to_owned(), ..Options::default() })
    }

    /// Stops it; what takes its place listens on the same port.
    pub(crate) fn restart(self, options: Options) -> Self {
        let mqtt_port = self.hub.mqtt_port();
        drop(self);
        Self::with(Options { mqtt_port, ..options })
    }

    /// What every program is told by its environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let string = |id: &str| self.hub.connection_string(id).unwrap();
        vec![
            ("HUB_PORT", self.hub.mqtt_port().to_string()),
            ("HUB_CA", self.hub.ca_pem().to_owned()),
            ("HUB_DEVICE", string(DEVICE)),
            ("HUB_SECOND", string("second")),
            ("HUB_MODULE", string("device/module")),
        ]
    }

    /// The next event of this kind.
    pub(crate) fn event(&self, kind: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no event {kind:?}"));
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// The bodies of the telemetry so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let telemetry = self.events.try_iter().filter(|event| event["event"] == "telemetry");
        telemetry.map(|event| event["body"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
