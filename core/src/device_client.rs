//! A device or module of an IoT Hub.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::access::Admission;
use crate::completion::{Completion, Pending};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::topic::{
    METHODS, TWIN_DESIRED, TWIN_RESPONSES, devicebound_filter, inputs_filter, telemetry_prefix,
};
use crate::hub::{Identity, Message, MethodRequest, Policy};
use crate::io::{
    self, Connection, DesiredHandler, Driver, FdSet, Handler, Hosting, HubLink, InputHandler, Manual,
    MessageHandler, MethodHandler, Route, Shared,
};
use crate::mqtt::{Delivery, Publish, QoS};
use crate::mqtt_client::MqttClient;
use crate::stats::Stats;
use crate::status::StatusHandler;

/// Talks to an IoT Hub as one device or module. Clones are handles of the same client.
#[derive(Clone)]
pub struct DeviceClient {
    mqtt: MqttClient,
    identity: Arc<Identity>,
    /// The topic of a message without properties.
    telemetry: Arc<str>,
    /// The filters that were subscribed to; the session keeps them alive.
    subscribed: Arc<Mutex<Vec<Cow<'static, str>>>>,
}

impl std::fmt::Debug for DeviceClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DeviceClient").field(&self.identity.client_id()).finish()
    }
}

impl DeviceClient {
    /// A client whose [`Driver`] the caller runs in a tokio runtime; callbacks run inside it.
    pub fn driven(config: Config) -> Result<(Self, Driver)> {
        let (client, connection) = Self::assemble(config, Hosting::Driver)?;
        Ok((client, Driver::new(connection)))
    }

    /// A client served by the library's threads.
    pub fn threaded(config: Config) -> Result<Self> {
        let (client, connection) = Self::assemble(config, Hosting::Threads)?;
        io::spawn(Driver::new(connection))?;
        Ok(client)
    }

    /// A client for the application's own loop, which waits for [`Manual::fd`] and calls
    /// [`Manual::process`]; callbacks run inside it.
    pub fn manual(config: Config) -> Result<(Self, Manual)> {
        let (set, bell) = FdSet::new()?;
        let (client, connection) = Self::assemble(config, Hosting::Manual(bell))?;
        Ok((client, Manual::new(set, connection)))
    }

    fn assemble(config: Config, hosting: Hosting) -> Result<(Self, Connection)> {
        let Admission { identity, host, access } = Admission::of(&config)?;
        let (mqtt, connection) = MqttClient::assemble(
            &host,
            &config.tuning,
            access,
            Some(Policy::new(identity.clone())),
            Some(HubLink::new(identity.clone(), config.request_timeout)),
            hosting,
        )?;
        let telemetry = telemetry_prefix(&identity).into();
        Ok((Self { mqtt, identity: Arc::new(identity), telemetry, subscribed: Arc::default() }, connection))
    }

    /// The topics beneath.
    pub fn mqtt(&self) -> &MqttClient {
        &self.mqtt
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// See [`MqttClient::connect`].
    pub fn connect(&self) -> Result<Pending> {
        self.mqtt.connect()
    }

    pub fn connect_with(&self, done: Completion) -> Result<()> {
        self.mqtt.connect_with(done)
    }

    /// See [`MqttClient::close`].
    pub fn close(&self, timeout: Duration) -> Result<Pending> {
        self.mqtt.close(timeout)
    }

    pub fn close_with(&self, timeout: Duration, done: Completion) -> Result<()> {
        self.mqtt.close_with(timeout, done)
    }

    /// See [`MqttClient::free`].
    pub fn free(&self) {
        self.mqtt.free();
    }

    /// Sends telemetry, at least once: accepted now, kept until the hub has acknowledged it. Works
    /// while disconnected, up to the queue's limits.
    pub fn send(&self, message: &Message) -> Result<Pending> {
        let (done, pending) = Completion::future();
        self.send_with(message, done)?;
        Ok(pending)
    }

    /// As [`DeviceClient::send`], with a callback.
    pub fn send_with(&self, message: &Message, done: Completion) -> Result<()> {
        let payload = message.body();
        let publish = |topic: &str, done| {
            let publish = Publish { topic, payload, qos: QoS::AtLeastOnce, retain: false };
            self.mqtt.publish_checked(&publish, done).map(drop)
        };
        if !message.is_plain() {
            match message.telemetry_topic(&self.identity) {
                Ok(topic) => publish(&topic, done),
                Err(error) => {
                    done.abandon();
                    Err(error)
                }
            }
        } else if let Err(error) = message.check_size() {
            done.abandon();
            Err(error)
        } else {
            publish(&self.telemetry, done)
        }
    }

    /// Called for each cloud-to-device message, in order. The first handler subscribes; `None` removes
    /// the handler and lets messages wait.
    ///
    /// # Errors
    /// `Closed` where it cannot subscribe any more; `Unsupported` for a module: the hub sends such messages to devices only.
    pub fn on_message(&self, handler: Option<MessageHandler>) -> Result<()> {
        if handler.is_some() {
            let rule = "IoT Hub sends cloud-to-device messages to devices, not modules";
            let filter = devicebound_filter(&self.identity).ok_or_else(|| unsupported(rule))?;
            // First what may be refused: then the handler is not kept either.
            self.listen(filter.into(), QoS::AtLeastOnce)?;
        }
        self.shared().set_handler(Route::Message, handler.map(Handler::Message));
        Ok(())
    }

    /// Called for each message on an input of this module, in order, as [`DeviceClient::on_message`]
    /// is for a device.
    ///
    /// # Errors
    /// `Closed` where it cannot subscribe any more; `Unsupported` for a device: it has no inputs.
    pub fn on_input(&self, handler: Option<InputHandler>) -> Result<()> {
        if handler.is_some() {
            let filter = inputs_filter(&self.identity);
            let filter = filter.ok_or_else(|| unsupported("a device has no inputs; a module has"))?;
            self.listen(filter.into(), QoS::AtLeastOnce)?;
        }
        self.shared().set_handler(Route::Input, handler.map(Handler::Input));
        Ok(())
    }

    /// Called for each direct method. It is answered with [`DeviceClient::respond`], inside the
    /// handler or later, from any thread. The first handler subscribes; without one, methods are
    /// answered with status 404.
    ///
    /// # Errors
    /// `Closed` where it cannot subscribe any more.
    pub fn on_method(&self, handler: Option<MethodHandler>) -> Result<()> {
        if handler.is_some() {
            self.listen(METHODS.into(), QoS::AtMostOnce)?;
        }
        self.shared().set_handler(Route::Method, handler.map(Handler::Method));
        Ok(())
    }

    /// Answers a method, once: `status` as in HTTP, and JSON of at most 128 KiB or nothing. An answer
    /// given while the connection is away is sent on the next.
    ///
    /// # Errors
    /// `NotFound`: answered already, unknown, or more than 300 s after the call, when nobody waits any
    /// more. `Argument`: no JSON. `TooLarge`. `Closed`.
    pub fn respond(&self, request: MethodRequest, status: u16, json: &[u8]) -> Result<()> {
        self.shared().respond(request, status, json)
    }

    /// Asks for the twin: [`Answer::Twin`](crate::Answer::Twin). Asked again after a reconnect, and
    /// when the hub asks to wait, until the request timeout.
    ///
    /// # Errors
    /// At the call `Full` (1,000 requests wait) and `Closed`; as the answer `Timeout`, `Throttled`,
    /// `Rejected` and others, with the hub's number and words.
    pub fn twin_get(&self) -> Result<Pending> {
        let (done, pending) = Completion::future();
        self.twin_get_with(done)?;
        Ok(pending)
    }

    /// As [`DeviceClient::twin_get`], with a callback.
    pub fn twin_get_with(&self, done: Completion) -> Result<()> {
        let done = self.listen_for_answers(done)?;
        self.shared().ask_hub(|hub, session| hub.twin_get(session, done))
    }

    /// Reports properties: `json` is a merge patch, an object whose null values delete. The answer is
    /// [`Answer::Reported`](crate::Answer::Reported). Reports reach the hub in the order of the calls;
    /// one whose answer a reconnect took is sent again.
    ///
    /// # Errors
    /// At the call `Argument` where it is no JSON object, and those of [`DeviceClient::twin_get`]; as
    /// the answer also `TooLarge` and `Precondition`.
    pub fn twin_patch(&self, json: &[u8]) -> Result<Pending> {
        let (done, pending) = Completion::future();
        self.twin_patch_with(json, done)?;
        Ok(pending)
    }

    /// As [`DeviceClient::twin_patch`], with a callback.
    pub fn twin_patch_with(&self, json: &[u8], done: Completion) -> Result<()> {
        let done = self.listen_for_answers(done)?;
        let patch = Bytes::copy_from_slice(json);
        self.shared().ask_hub(|hub, session| hub.twin_patch(session, patch, done))
    }

    /// Called first with all desired properties, then with each change of them, once, also with what
    /// was changed while there was no connection. `None` ends that.
    ///
    /// # Errors
    /// `Closed` where it cannot subscribe any more.
    pub fn on_desired(&self, handler: Option<DesiredHandler>) -> Result<()> {
        let wanted = handler.is_some();
        if wanted {
            self.listen(TWIN_RESPONSES.into(), QoS::AtMostOnce)?;
            self.listen(TWIN_DESIRED.into(), QoS::AtMostOnce)?;
        }
        self.shared().set_handler(Route::Desired, handler.map(Handler::Desired));
        self.shared().ask_hub(|hub, session| {
            hub.watch(session, wanted);
            Ok(())
        })
    }

    /// Subscribes, unless that was done before.
    fn listen(&self, filter: Cow<'static, str>, qos: QoS) -> Result<()> {
        let mut subscribed = self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        if !subscribed.contains(&filter) {
            self.mqtt.subscribe_with(vec![(filter.clone().into_owned(), qos)], Completion::ignored())?;
            subscribed.push(filter);
        }
        Ok(())
    }

    /// To the answers to twin requests; `done` comes back unless that was refused. Once the client is being
    /// closed it is: a goodbye that waits for requests must see an end of them.
    fn listen_for_answers(&self, done: Completion) -> Result<Completion> {
        let listening = match self.shared().is_closed() {
            true => Err(Error::closed()),
            false => self.listen(TWIN_RESPONSES.into(), QoS::AtMostOnce),
        };
        match listening {
            Ok(()) => Ok(done),
            Err(error) => {
                done.abandon();
                Err(error)
            }
        }
    }

    fn shared(&self) -> &Shared {
        self.mqtt.shared()
    }

    /// What the client has done so far.
    pub fn stats(&self) -> Stats {
        self.mqtt.stats()
    }

    /// See [`MqttClient::acknowledge`].
    pub fn acknowledge(&self, delivery: Delivery) -> Result<()> {
        self.mqtt.acknowledge(delivery)
    }

    /// See [`MqttClient::on_status`].
    pub fn on_status(&self, handler: Option<StatusHandler>) {
        self.mqtt.on_status(handler);
    }
}

fn unsupported(rule: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, rule)
}

#[cfg(test)]
mod tests;
