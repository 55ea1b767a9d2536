//! A message in either direction: a body, system properties and application properties.

use std::fmt;

use bytes::Bytes;

use super::identity::Identity;
use super::property_bag;
use super::system_property::SystemProperty;
use super::topic::{self, Incoming};
use crate::error::{Error, ErrorKind, Result};

/// The largest message that IoT Hub takes, in bytes by its own count (see [`Message::size`]).
pub const MAX_MESSAGE: usize = 262_144;

/// The longest topic of MQTT, in bytes of UTF-8.
pub const MAX_TOPIC: usize = 65_535;

/// Names that the hub stamps on messages or reads as something else; a device cannot set them.
const RESERVED: [&str; 10] = [
    "iothub-ack",
    "iothub-operation",
    "iothub-connection-device-id",
    "iothub-connection-module-id",
    "iothub-connection-auth-method",
    "iothub-connection-auth-generation-id",
    "iothub-enqueuedtime",
    "iothub-message-source",
    "dt-dataschema",
    "dt-subject",
];

/// A message to or from the hub.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    body: Bytes,
    system: Vec<(SystemProperty, String)>,
    properties: Vec<(String, Option<String>)>,
    /// It came from the hub.
    received: bool,
}

impl Message {
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// A message as it stands in a topic: whatever the bag holds is taken, without the checks of
    /// the setters. A later value of a name replaces an earlier one; a system property without a
    /// value counts as absent; an unknown `$` name is kept as an application property.
    ///
    /// # Errors
    /// `Protocol` where the bag does not decode to UTF-8.
    pub fn from_bag(bag: &str, body: impl Into<Bytes>) -> Result<Self> {
        let mut message = Self::new(body);
        let pairs = property_bag::parse(bag).map_err(|_| {
            Error::new(ErrorKind::Protocol, "property bag: a name or value does not decode to UTF-8")
        })?;
        for (name, value) in pairs {
            match (SystemProperty::from_key(&name), value) {
                (Some(property), Some(value)) => message.put_system(property, value),
                (Some(property), None) => message.system.retain(|(known, _)| *known != property),
                (None, value) => message.put_property(name, value),
            }
        }
        Ok(message)
    }

    /// As [`Message::from_bag`], for what the hub delivered.
    pub(crate) fn received(bag: &str, body: impl Into<Bytes>) -> Result<Self> {
        Ok(Self { received: true, ..Self::from_bag(bag, body)? })
    }

    /// What the hub delivered on a cloud-to-device topic or on a module's input.
    ///
    /// # Errors
    /// `Protocol` where the topic is neither for `id`, or its bag does not decode.
    pub fn from_devicebound(topic: &str, body: Bytes, id: &Identity) -> Result<Self> {
        match topic::parse_incoming(topic, id) {
            Incoming::C2d { bag } | Incoming::Input { bag, .. } => Self::received(bag, body),
            _ => Err(Error::new(
                ErrorKind::Protocol,
                "topic: no cloud-to-device message or input of this identity",
            )),
        }
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// Sets a system property, replacing its value.
    ///
    /// # Errors
    /// `Argument` where the value is empty or breaks the property's rule.
    pub fn set_system(&mut self, property: SystemProperty, value: &str) -> Result<()> {
        property.check(value)?;
        self.put_system(property, value.to_owned());
        Ok(())
    }

    pub fn system(&self, property: SystemProperty) -> Option<&str> {
        self.system.iter().find(|(known, _)| *known == property).map(|(_, value)| value.as_str())
    }

    /// The system properties that are set, in the order in which they were.
    pub fn system_properties(&self) -> impl ExactSizeIterator<Item = (SystemProperty, &str)> {
        self.system.iter().map(|(property, value)| (*property, value.as_str()))
    }

    /// Sets an application property; `None` is a null value, which is not the empty string. A
    /// later value of the same name replaces the earlier one in its place.
    ///
    /// # Errors
    /// `Argument` where the name is empty, begins with `$`, or is one that the hub stamps itself.
    pub fn set_property(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        if name.is_empty() {
            return Err(Error::argument("property name", "must not be empty"));
        }
        if name.starts_with('$') {
            return Err(Error::argument(
                "property name",
                "must not begin with '$': those names are the system properties",
            ));
        }
        if let Some(reserved) = RESERVED.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            return Err(Error::argument(
                "property name",
                format_args!("{reserved} is reserved: IoT Hub writes it itself"),
            ));
        }
        self.put_property(name.to_owned(), value.map(str::to_owned));
        Ok(())
    }

    /// The value of an application property: `Some(None)` is null, `None` is absent.
    pub fn property(&self, name: &str) -> Option<Option<&str>> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_deref())
    }

    /// The application properties in the order in which their names were first set.
    pub fn properties(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.properties.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether it is a body alone, without a property of either kind.
    pub fn is_plain(&self) -> bool {
        self.system.is_empty() && self.properties.is_empty()
    }

    /// `TooLarge` if [`Message::size`] is above [`MAX_MESSAGE`].
    pub fn check_size(&self) -> Result<()> {
        check_size(self.size())
    }

    /// The size in bytes as the hub counts it: the body, the values of the system properties, the
    /// names and the values of the application properties.
    pub fn size(&self) -> usize {
        let system = self.system.iter().map(|(_, value)| value.len());
        let application =
            self.properties.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len));
        self.body.len() + system.chain(application).sum::<usize>()
    }

    /// Appends the property bag to `out`: the system properties in the order of
    /// [`SystemProperty`], then the application properties in their own.
    pub fn write_bag(&self, out: &mut String) {
        self.write_bag_with(out, |_| true);
    }

    fn write_bag_with(&self, out: &mut String, keep: impl Fn(SystemProperty) -> bool) {
        let mut system: Vec<_> = self.system_properties().filter(|(property, _)| keep(*property)).collect();
        system.sort_by_key(|(property, _)| *property);
        let system = system.into_iter().map(|(property, value)| (property.key(), Some(value)));
        property_bag::write(out, system.chain(self.properties()));
    }

    /// The topic to publish this message to as telemetry of `id`:
    /// `devices/{device}[/modules/{module}]/messages/events/{bag}`. What the hub wrote onto a message that
    /// it delivered is left out, so that a message may be passed on as it came.
    ///
    /// # Errors
    /// `TooLarge` where [`size`](Self::size) is above [`MAX_MESSAGE`] or the topic is longer than
    /// [`MAX_TOPIC`]; `Argument` where a property is set that `id` cannot send.
    pub fn telemetry_topic(&self, id: &Identity) -> Result<String> {
        let stamped = self.system.iter().find(|(known, _)| known.is_hub_only());
        if let (Some((property, _)), false) = (stamped, self.received) {
            return Err(Error::argument(
                &format!("{property:?}"),
                "is set by the hub; a device cannot send it",
            ));
        }
        if id.module_id().is_none() && self.system(SystemProperty::OutputName).is_some() {
            return Err(Error::argument("OutputName", "only a module has outputs, and this is a device"));
        }
        check_size(self.size())?;
        let mut topic = topic::telemetry_prefix(id);
        self.write_bag_with(&mut topic, |property| {
            !self.received || !property.is_hub_only() && property != SystemProperty::To
        });
        check_topic(&topic)?;
        Ok(topic)
    }

    fn put_system(&mut self, property: SystemProperty, value: String) {
        match self.system.iter_mut().find(|(known, _)| *known == property) {
            Some((_, old)) => *old = value,
            None => self.system.push((property, value)),
        }
    }

    fn put_property(&mut self, name: String, value: Option<String>) {
        match self.properties.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.properties.push((name, value)),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system: Vec<_> = self.system.iter().map(|(property, _)| property).collect();
        f.debug_struct("Message")
            .field("body_len", &self.body.len())
            .field("system", &system)
            .field("properties", &self.properties.len())
            .finish()
    }
}

/// Refuses a message of `size` bytes by the hub's count.
pub(crate) fn check_size(size: usize) -> Result<()> {
    if size <= MAX_MESSAGE {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!("message: {size} bytes with its properties; IoT Hub takes at most {MAX_MESSAGE}"),
    ))
}

/// Refuses a topic that MQTT cannot carry.
pub(crate) fn check_topic(topic: &str) -> Result<()> {
    if topic.len() <= MAX_TOPIC {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!("topic: {} bytes with its property bag; MQTT takes at most {MAX_TOPIC}", topic.len()),
    ))
}
