//! The hub of one scenario, with the same fleet each time, and what surrounds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use iothub_emulator::{Fault, Hub, Options};
use iothub_tests::http_proxy::HttpProxy;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::credential;
use crate::hub_log::HubLog;

/// What a step means that names nobody.
pub(crate) const DEVICE: &str = "device-1";

#[derive(Debug)]
pub(crate) struct World {
    options: Options,
    hub: Option<Arc<Hub>>,
    pub(crate) log: HubLog,
    proxy: Option<HttpProxy>,
    certs: TempDir,
}

impl World {
    /// A hub at a loopback address of its own, so that it can come back at the same port.
    pub(crate) fn start() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let [_, _, high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let host = format!("127.{}.{high}.{low}", 64 + std::process::id() % 128);
        let certs = tempfile::tempdir().map_err(|error| error.to_string())?;
        let options = Options {
            host: host.clone(),
            name: host,
            certs: Some(certs.path().to_owned()),
            ..Options::default()
                .device(DEVICE)
                .device("device-2")
                .module(DEVICE, "camera")
                .module(DEVICE, "filter")
                .x509_device("gauge", credential::thumbprint())
                .route("device-1/camera/frames", "device-1/filter/raw")
        };
        let (hub, events) = Hub::start_recorded(options.clone()).map_err(|error| error.to_string())?;
        // The ports to come back to.
        let options = Options { mqtt_port: hub.mqtt_port(), https_port: hub.https_port(), ..options };
        let log = HubLog::new(events);
        Ok(Self { options, hub: Some(Arc::new(hub)), log, proxy: None, certs })
    }

    pub(crate) fn hub(&self) -> Result<&Arc<Hub>, String> {
        self.hub.as_ref().ok_or_else(|| "the hub is stopped".to_owned())
    }

    pub(crate) fn stop_hub(&mut self) -> Result<(), String> {
        let hub = self.hub.take().ok_or("the hub is stopped already")?;
        Arc::try_unwrap(hub).map(drop).map_err(|_| "somebody calls the hub".to_owned())
    }

    pub(crate) fn start_hub(&mut self) -> Result<(), String> {
        let (hub, events) = Hub::start_recorded(self.options.clone()).map_err(|error| error.to_string())?;
        self.hub = Some(Arc::new(hub));
        self.log.listen_to(events);
        Ok(())
    }

    pub(crate) fn fault(&mut self, kind: &str, arguments: &Map<String, Value>) -> Result<(), String> {
        match kind {
            "stop_hub" => return self.stop_hub(),
            "start_hub" => return self.start_hub(),
            _ => {}
        }
        let number = |name: &str| arguments.get(name).and_then(Value::as_u64);
        let fault = Fault {
            count: number("count").map(|count| count as u32),
            for_ms: number("for_ms"),
            after_messages: number("after_messages").map(|count| count as u32),
            code: number("code").map(|code| code as u16),
            ..Fault::new(kind, arguments.get("to").and_then(Value::as_str).unwrap_or("*"))
        };
        self.hub()?.fault(&fault).map(drop).map_err(|error| error.to_string())
    }

    /// What a client is told: the options of a scenario, with the identity's own and what suits a test.
    pub(crate) fn client_options(
        &mut self,
        scenario: &Map<String, Value>,
        own: &Map<String, Value>,
    ) -> Result<Map<String, Value>, String> {
        let mut options = Map::new();
        options.extend(scenario.clone());
        options.extend(own.clone());
        let text = |options: &mut Map<String, Value>, name: &str| {
            options.remove(name).and_then(|value| value.as_str().map(str::to_owned))
        };
        let identity = text(&mut options, "identity").unwrap_or_else(|| DEVICE.to_owned());
        let credential = text(&mut options, "credential").unwrap_or_else(|| "key".to_owned());
        let way = text(&mut options, "through").unwrap_or_else(|| "tcp".to_owned());
        let hub = Arc::clone(self.hub()?);
        credential::give(&hub, &identity, &credential, self.certs.path(), &mut options)?;
        let websocket = options.get("transport").is_some_and(|transport| transport == "websocket");
        let port = if websocket { hub.https_port() } else { hub.mqtt_port() };
        if options.get("trusted_roots").is_some_and(|roots| roots == "another") {
            options.insert("trusted_roots".to_owned(), credential::another_authority().into());
        }
        let mut offer = |name: &str, value: Value| {
            options.entry(name.to_owned()).or_insert(value);
        };
        offer("port", port.into());
        offer("trusted_roots", hub.ca_pem().into());
        offer("backoff_ms", serde_json::json!([10, 50]));
        offer("slow_backoff_ms", serde_json::json!([50, 100]));
        match way.as_str() {
            "tcp" => {}
            "proxy" => {
                offer("proxy", self.proxy().url().into());
            }
            "proxy_with_password" => {
                self.proxy().demand("gate", "open sesame");
                let url = self.proxy().url().replacen("http://", "http://gate:open%20sesame@", 1);
                offer("proxy", url.into());
            }
            "proxy_with_wrong_password" => {
                self.proxy().demand("gate", "open sesame");
                offer("proxy", self.proxy().url().replacen("http://", "http://gate:wrong@", 1).into());
            }
            other => return Err(format!("there is no way through {other:?}")),
        }
        Ok(options)
    }

    fn proxy(&mut self) -> &HttpProxy {
        self.proxy.get_or_insert_with(HttpProxy::start)
    }
}
