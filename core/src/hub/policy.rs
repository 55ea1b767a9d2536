//! What IoT Hub allows a connected client, checked before anything is queued.
//!
//! The hub answers most of these mistakes by closing the connection without a reason, so they are
//! refused at the call instead.

use super::identity::Identity;
use super::message::{check_size, check_topic};
use super::property_bag;
use super::system_property::SystemProperty;
use super::topic::{self, METHOD_RESPONSES, METHODS, TWIN_DESIRED, TWIN_GET, TWIN_REPORTED, TWIN_RESPONSES};
use crate::error::{Error, ErrorKind, Result};

/// The largest answer to a direct method, in bytes.
pub const MAX_METHOD_RESPONSE: usize = 131_072;

/// Domains of IoT Hub: global, China, US government.
const HUB_DOMAINS: [&str; 3] = [".azure-devices.net", ".azure-devices.cn", ".azure-devices.us"];

/// The rules for one identity.
#[derive(Debug, Clone)]
pub struct Policy {
    identity: Identity,
}

impl Policy {
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether `host` is a name of an IoT Hub, in any case, so that this policy applies by itself.
    pub fn is_hub_host(host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        HUB_DOMAINS.iter().any(|domain| host.strip_suffix(domain).is_some_and(|hub| !hub.is_empty()))
    }

    /// Whether the hub takes a publish (or a will) of `payload_len` bytes.
    ///
    /// # Errors
    /// `Argument` for QoS 2, an undocumented topic, or a topic of another identity; `TooLarge` for
    /// a topic or message above the limits.
    pub fn check_publish(&self, topic: &str, qos: u8, payload_len: usize) -> Result<()> {
        if qos == 2 {
            return Err(Error::argument(
                "qos",
                "IoT Hub closes the connection on a publish at QoS 2; use 0 or 1",
            ));
        }
        if qos > 2 {
            return Err(Error::argument("qos", "must be 0 or 1"));
        }
        check_topic(topic)?;
        if let Some(bag) = self.telemetry_bag(topic)? {
            return check_size(payload_len.saturating_add(bag_size(bag)?));
        }
        if let Some(rest) = topic.strip_prefix(METHOD_RESPONSES) {
            let status = rest.split_once('/').filter(|(_, query)| has_rid(query));
            if status.and_then(|(status, _)| topic::number::<u16>(status)).is_none() {
                return Err(Error::argument(
                    "topic",
                    "an answer to a method goes to $iothub/methods/res/{status}/?$rid={rid}, \
                     the status a number from 0 to 65535",
                ));
            }
            if payload_len > MAX_METHOD_RESPONSE {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!(
                        "method answer: {payload_len} bytes; IoT Hub takes at most {MAX_METHOD_RESPONSE}"
                    ),
                ));
            }
            return Ok(());
        }
        for (prefix, what) in [(TWIN_GET, "reading the twin"), (TWIN_REPORTED, "reporting")] {
            if let Some(query) = topic.strip_prefix(prefix) {
                if !has_rid(query) {
                    return Err(Error::argument(
                        "topic",
                        format_args!("{what} needs a request id: {prefix}?$rid={{rid}}"),
                    ));
                }
                return check_size(payload_len);
            }
        }
        Err(Error::argument(
            "topic",
            format_args!(
                "IoT Hub closes the connection on a publish to any topic but {}{{properties}}, \
                 {TWIN_GET}?$rid={{rid}}, {TWIN_REPORTED}?$rid={{rid}} \
                 and {METHOD_RESPONSES}{{status}}/?$rid={{rid}}",
                topic::telemetry_prefix(&self.identity)
            ),
        ))
    }

    /// Whether the hub takes a subscription. QoS 2 is no matter: the hub grants 1.
    ///
    /// # Errors
    /// `Argument` for a filter that is not documented or is another identity's.
    pub fn check_filter(&self, filter: &str) -> Result<()> {
        if [TWIN_RESPONSES, TWIN_DESIRED, METHODS].contains(&filter) {
            return Ok(());
        }
        let own = topic::devicebound_filter(&self.identity)
            .or_else(|| topic::inputs_filter(&self.identity))
            .unwrap_or_default();
        if filter == own || self.is_inputs_only(filter) || is_one_method(filter) {
            return Ok(());
        }
        self.check_owner("filter", filter)?;
        Err(Error::argument(
            "filter",
            format_args!(
                "IoT Hub closes the connection on a subscription to anything but {own}, \
                 {TWIN_RESPONSES}, {TWIN_DESIRED} and {METHODS}, written exactly so"
            ),
        ))
    }

    /// The property bag where `topic` is telemetry of this identity; `None` where it is no message
    /// topic at all.
    fn telemetry_bag<'a>(&self, topic: &'a str) -> Result<Option<&'a str>> {
        let prefix = topic::telemetry_prefix(&self.identity);
        if let Some(bag) = topic.strip_prefix(&prefix) {
            return Ok(Some(bag));
        }
        if prefix.strip_suffix('/') == Some(topic) {
            return Ok(Some(""));
        }
        self.check_owner("topic", topic)?;
        Ok(None)
    }

    /// Refuses a topic or filter below `devices/` that belongs to another identity, naming both.
    fn check_owner(&self, argument: &str, topic: &str) -> Result<()> {
        let Some(rest) = topic.strip_prefix("devices/") else {
            return Ok(());
        };
        let mut segments = rest.split('/');
        let device = segments.next().unwrap_or_default();
        let module = match segments.next() {
            Some("modules") => segments.next().filter(|module| !module.is_empty()),
            _ => None,
        };
        if device == self.identity.device_id() && module == self.identity.module_id() {
            return Ok(());
        }
        Err(Error::argument(
            argument,
            format_args!(
                "it belongs to {}, but this connection is of {}",
                describe(device, module),
                describe(self.identity.device_id(), self.identity.module_id())
            ),
        ))
    }

    /// The narrower filter of the Python and Node SDKs.
    fn is_inputs_only(&self, filter: &str) -> bool {
        topic::inputs_filter(&self.identity)
            .and_then(|all| filter.strip_prefix(all.strip_suffix('#')?))
            .is_some_and(|rest| rest == "inputs/#")
    }
}

/// `$iothub/methods/POST/{name}/#`.
fn is_one_method(filter: &str) -> bool {
    METHODS
        .strip_suffix('#')
        .and_then(|prefix| filter.strip_prefix(prefix)?.strip_suffix("/#"))
        .is_some_and(|name| !name.is_empty() && !name.contains(['/', '+', '#']))
}

fn has_rid(query: &str) -> bool {
    query.strip_prefix('?').is_some_and(|query| topic::field(query, "$rid").is_some())
}

/// What a bag adds to the size of a message, by the hub's count.
fn bag_size(bag: &str) -> Result<usize> {
    let pairs = property_bag::parse(bag)
        .map_err(|_| Error::argument("topic", "its property bag must decode to UTF-8"))?;
    Ok(pairs
        .into_iter()
        .map(|(name, value)| {
            let name_len = match SystemProperty::from_key(&name) {
                Some(_) => 0,
                None => name.len(),
            };
            name_len + value.map_or(0, |value| value.len())
        })
        .sum())
}

fn describe(device: &str, module: Option<&str>) -> String {
    match module {
        None => format!("device '{device}'"),
        Some(module) => format!("module '{module}' of device '{device}'"),
    }
}
