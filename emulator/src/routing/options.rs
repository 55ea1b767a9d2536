//! What messages are routed where, as it is asked for.

use std::path::PathBuf;

use serde::Deserialize;

/// Routes and the endpoints that they lead to. With no route at all every message of a device goes
/// to `events`, the built-in endpoint: the hub's own events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct RoutingOptions {
    /// Up to 10, as at IoT Hub, beside `events`.
    pub endpoints: Vec<EndpointOptions>,
    /// Up to 100, as at IoT Hub. Each that matches gets the message; an endpoint gets it once.
    pub routes: Vec<RouteOptions>,
    /// Whether a device's message that no route takes goes to `events`.
    pub fallback_route: bool,
}

impl Default for RoutingOptions {
    fn default() -> Self {
        Self { endpoints: Vec::new(), routes: Vec::new(), fallback_route: true }
    }
}

/// Where messages can go: a file, an event stream, or both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EndpointOptions {
    /// 1 to 64 letters, digits or characters of `-._`; not `events`.
    pub name: String,
    /// Gets one line of JSON for each message, the event `telemetry`, after what it has already.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Whether the endpoint is read as server-sent events at `/emulator/endpoints/{name}`.
    #[serde(default)]
    pub stream: bool,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RouteOptions {
    /// 1 to 64 letters, digits or characters of `-._`.
    pub name: String,
    #[serde(default)]
    pub source: MessageSource,
    /// In IoT Hub's query language: `level = 'storm'`, `$body.temperature > 50`; `true` takes all.
    #[serde(default = "everything")]
    pub condition: String,
    /// The name of an endpoint, or `events`.
    pub endpoint: String,
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl RouteOptions {
    /// A route of devices' messages.
    #[must_use]
    pub fn new(name: &str, condition: &str, endpoint: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: MessageSource::DeviceMessages,
            condition: condition.to_owned(),
            endpoint: endpoint.to_owned(),
            enabled: true,
        }
    }
}

fn everything() -> String {
    "true".to_owned()
}

fn yes() -> bool {
    true
}

/// What kind of message a route takes, by IoT Hub's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[non_exhaustive]
pub enum MessageSource {
    /// Telemetry and last wills.
    #[default]
    DeviceMessages,
    /// The desired or reported properties or the tags of a twin changed.
    TwinChangeEvents,
    /// A device or module was registered or deleted.
    DeviceLifecycleEvents,
    /// A device or module connected or disconnected.
    DeviceConnectionStateEvents,
}
