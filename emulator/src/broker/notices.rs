//! The messages that the hub itself sends to routes: twins changed, devices came and went.
//!
//! Their form is IoT Hub's for events that are no telemetry.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::Broker;
use super::properties::document;
use crate::identity::Identity;
use crate::registry::Entry;
use crate::routing::{Message, MessageSource};
use crate::time::{now_text, unix_now};

impl Broker {
    /// Routes a message about `identity`; `body` is made only where a route takes it.
    pub(super) fn notify(
        &self,
        source: MessageSource,
        operation: &'static str,
        identity: &Identity,
        entry: &Entry,
        body: impl FnOnce() -> Value,
    ) {
        if !self.routing.takes(source) {
            return;
        }
        let (source_name, schema) = match source {
            MessageSource::TwinChangeEvents => ("twinChangeEvents", "twinChangeNotification"),
            MessageSource::DeviceLifecycleEvents => ("deviceLifecycleEvents", "deviceLifecycleNotification"),
            MessageSource::DeviceConnectionStateEvents => {
                ("deviceConnectionStateEvents", "deviceConnectionStateNotification")
            }
            MessageSource::DeviceMessages => return,
        };
        let hub = self.authority.hosts.first().map_or("", |host| hub_name(host));
        let now = now_text();
        let mut system = vec![
            (Cow::Borrowed("correlation-id"), uuid::Uuid::new_v4().simple().to_string()),
            (Cow::Borrowed("user-id"), hub.to_owned()),
            (Cow::Borrowed("content-type"), "application/json".to_owned()),
            (Cow::Borrowed("content-encoding"), "utf-8".to_owned()),
            (Cow::Borrowed("iothub-connection-device-id"), identity.device_id().to_owned()),
        ];
        let mut properties = vec![
            ("hubName".to_owned(), Some(hub.to_owned())),
            ("deviceId".to_owned(), Some(identity.device_id().to_owned())),
        ];
        if let Some(module) = identity.module_id() {
            system.push((Cow::Borrowed("iothub-connection-module-id"), module.to_owned()));
            properties.push(("moduleId".to_owned(), Some(module.to_owned())));
        }
        system.push((Cow::Borrowed("iothub-enqueuedtime"), now.clone()));
        system.push((Cow::Borrowed("iothub-message-source"), source_name.to_owned()));
        for (name, value) in
            [("operationTimestamp", now.as_str()), ("opType", operation), ("iothub-message-schema", schema)]
        {
            properties.push((name.to_owned(), Some(value.to_owned())));
        }
        let message = Message { body: body().to_string().into(), system, properties };
        if self.routing.dispatch(source, identity, &message, &|| Some(document(identity, entry))) {
            self.events.emit(Some(identity), || message.into());
        }
    }

    /// A device or module connected or disconnected.
    pub(super) fn notify_link(&self, operation: &'static str, identity: &Identity, entry: &Entry) {
        self.notify(MessageSource::DeviceConnectionStateEvents, operation, identity, entry, || {
            // It grows over the life of one hub, and from one hub to the next.
            json!({ "sequenceNumber": format!("{:032X}{:032X}", unix_now(), self.routing.next_number()) })
        });
    }

    /// A device or module was registered or is about to be deleted.
    pub(super) fn notify_life(&self, operation: &'static str, identity: &Identity, entry: &Entry) {
        let whole = || whole(identity, entry);
        self.notify(MessageSource::DeviceLifecycleEvents, operation, identity, entry, whole);
    }

    /// A twin changed: `tags` and a patch of `section`, or with `replaced` everything.
    pub(super) fn notify_twin(
        &self,
        identity: &Identity,
        entry: &Entry,
        replaced: bool,
        tags: Option<&Map<String, Value>>,
        section: Option<(&str, &Map<String, Value>)>,
    ) {
        let operation = if replaced { "replaceTwin" } else { "updateTwin" };
        self.notify(MessageSource::TwinChangeEvents, operation, identity, entry, || {
            if replaced {
                return whole(identity, entry);
            }
            let mut body = json!({ "version": entry.twin.version() });
            if let Some(tags) = tags {
                body["tags"] = tags.clone().into();
            }
            if let Some((name, patch)) = section {
                let current = &entry.twin.for_service()[name];
                let mut changed = patch.clone();
                changed.insert("$metadata".into(), metadata(&current["$metadata"], patch));
                changed.insert("$version".into(), current["$version"].clone());
                body["properties"] = json!({ name: changed });
            }
            body
        });
    }
}

/// The metadata of what a patch names.
fn metadata(current: &Value, patch: &Map<String, Value>) -> Value {
    let fields = current.as_object().into_iter().flatten();
    let named = fields.filter(|(name, _)| name.starts_with('$') || patch.contains_key(*name));
    named.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
}

/// The parts of a twin that a message about the whole of it has.
fn whole(identity: &Identity, entry: &Entry) -> Value {
    let mut document = document(identity, entry);
    if let Some(fields) = document.as_object_mut() {
        fields.retain(|name, _| {
            ["deviceId", "moduleId", "etag", "version", "tags", "properties"].contains(&name.as_str())
        });
    }
    document
}

/// The first label of the host's name, which is the name of an IoT hub.
fn hub_name(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() { host } else { host.split('.').next().unwrap_or(host) }
}
