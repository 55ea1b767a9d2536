//! Message routing: which messages go to which endpoints.
//!
//! As at IoT Hub, every route that matches gets the message, an endpoint gets it once, and what no
//! route takes goes to the built-in endpoint `events` by the fallback route.

mod endpoint;
mod message;
mod options;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value as Json;

pub(crate) use message::Message;
pub use options::{EndpointOptions, MessageSource, RouteOptions, RoutingOptions};

use crate::events::{Event, EventBus};
use crate::identity::Identity;
use crate::query::Condition;
use endpoint::Endpoint;
use message::Examined;

const BUILT_IN: &str = "events";
const MAX_ENDPOINTS: usize = 10;
const MAX_ROUTES: usize = 100;

#[derive(Debug)]
pub(crate) struct Routing {
    endpoints: Vec<Endpoint>,
    routes: Vec<Route>,
    fallback: bool,
    sequence: AtomicU64,
}

#[derive(Debug)]
struct Route {
    source: MessageSource,
    condition: Condition,
    /// An index of the endpoints; `None` is the built-in one.
    endpoint: Option<usize>,
}

impl Routing {
    /// Checks everything and opens the endpoints' files; the error names what is wrong.
    pub(crate) fn new(options: &RoutingOptions) -> Result<Self, String> {
        let routes = Self::check(&options.endpoints, &options.routes)?;
        let opened = options.endpoints.iter().map(|options| {
            Endpoint::open(options).map_err(|error| format!("the endpoint '{}': {error}", options.name))
        });
        Ok(Self {
            endpoints: opened.collect::<Result<_, _>>()?,
            routes,
            fallback: options.fallback_route,
            sequence: AtomicU64::new(0),
        })
    }

    /// Whether they can be meant, looked at alone; nothing is opened.
    pub(crate) fn checked(endpoints: &[EndpointOptions], routes: &[RouteOptions]) -> Result<(), String> {
        Self::check(endpoints, routes).map(|_| ())
    }

    /// The routes that are enabled.
    fn check(endpoints: &[EndpointOptions], routes: &[RouteOptions]) -> Result<Vec<Route>, String> {
        if endpoints.len() > MAX_ENDPOINTS || routes.len() > MAX_ROUTES {
            return Err(format!("a hub has at most {MAX_ENDPOINTS} endpoints and {MAX_ROUTES} routes"));
        }
        for (at, endpoint) in endpoints.iter().enumerate() {
            let failed = |rule: &str| Err(format!("the endpoint '{}': {rule}", endpoint.name));
            if !is_name(&endpoint.name) || endpoint.name.eq_ignore_ascii_case(BUILT_IN) {
                return failed("a name has 1 to 64 letters, digits or characters of -._ and is not 'events'");
            }
            if endpoints[..at].iter().any(|other| other.name.eq_ignore_ascii_case(&endpoint.name)) {
                return failed("is given twice");
            }
            if endpoint.file.is_none() && !endpoint.stream {
                return failed("needs a file or 'stream = true'");
            }
        }
        let mut checked = Vec::new();
        for (at, route) in routes.iter().enumerate() {
            let failed = |rule: String| Err(format!("the route '{}': {rule}", route.name));
            if !is_name(&route.name) {
                return failed("a name has 1 to 64 letters, digits or characters of -._".into());
            }
            if routes[..at].iter().any(|other| other.name.eq_ignore_ascii_case(&route.name)) {
                return failed("is given twice".into());
            }
            let named = endpoints.iter().position(|e| e.name.eq_ignore_ascii_case(&route.endpoint));
            if named.is_none() && !route.endpoint.eq_ignore_ascii_case(BUILT_IN) {
                return failed(format!("there is no endpoint '{}'", route.endpoint));
            }
            match Condition::parse(&route.condition) {
                Err(error) => return failed(format!("its condition: {error}")),
                Ok(condition) if route.enabled => {
                    checked.push(Route { source: route.source, condition, endpoint: named });
                }
                Ok(_) => {}
            }
        }
        Ok(checked)
    }

    /// Whether every message of a device goes to `events`, and nothing else anywhere.
    pub(crate) fn is_idle(&self) -> bool {
        self.routes.is_empty()
    }

    /// Whether a message of `source` can go anywhere.
    pub(crate) fn takes(&self, source: MessageSource) -> bool {
        self.routes.iter().any(|route| route.source == source)
    }

    /// Hands a message to the endpoints; whether `events` is among them, which is the caller's.
    /// `twin` reads the sender's twin as the service shows it.
    pub(crate) fn dispatch(
        &self,
        source: MessageSource,
        identity: &Identity,
        message: &Message,
        twin: &dyn Fn() -> Option<Json>,
    ) -> bool {
        let examined = Examined::new(message, twin);
        let mut matched = vec![false; self.endpoints.len()];
        let mut built_in = false;
        let mut any = false;
        for route in self.routes.iter().filter(|route| route.source == source) {
            let place = match route.endpoint {
                Some(index) => &mut matched[index],
                None => &mut built_in,
            };
            let holds = |condition: &Condition| {
                condition.holds(&|name, system_only| examined.find(name, system_only)) == Some(true)
            };
            if !*place && holds(&route.condition) {
                *place = true;
                any = true;
            }
        }
        for (endpoint, _) in self.endpoints.iter().zip(&matched).filter(|(_, matched)| **matched) {
            endpoint.emit(identity, || message.clone().into());
        }
        built_in || !any && self.fallback && source == MessageSource::DeviceMessages
    }

    /// Where the messages of the stream `name` can be read; `None` where there is no such stream.
    pub(crate) fn stream(&self, name: &str) -> Option<Arc<EventBus>> {
        self.endpoints.iter().find(|endpoint| endpoint.name.eq_ignore_ascii_case(name))?.stream()
    }

    /// A number larger than all before it.
    pub(crate) fn next_number(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Ends the streams and waits until the files have everything.
    pub(crate) fn close(&self) {
        self.endpoints.iter().for_each(Endpoint::close);
    }
}

impl From<Message> for Event {
    fn from(Message { body, system, properties }: Message) -> Self {
        Self::Telemetry { body, system, properties }
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
