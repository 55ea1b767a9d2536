//! A device or module of an IoT Hub.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::access::Access;
use crate::completion::{Completion, Pending};
use crate::config::{Config, Source};
use crate::error::{Error, Result};
use crate::hub::topic::{devicebound_filter, telemetry_prefix};
use crate::hub::{Credential, Identity, Message, Policy, UsernameQuery};
use crate::io::{self, Ack, Driver};
use crate::mqtt::{Connect, Delivery, Publish, QoS, Will};
use crate::mqtt_client::MqttClient;
use crate::status::StatusHandler;

/// Talks to an IoT Hub as one device or module. Clones are handles of the same client.
#[derive(Clone)]
pub struct DeviceClient {
    mqtt: MqttClient,
    identity: Arc<Identity>,
    /// The topic of a message without properties.
    telemetry: Arc<str>,
    /// To cloud-to-device messages.
    subscribed: Arc<Mutex<bool>>,
}

impl std::fmt::Debug for DeviceClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DeviceClient").field(&self.identity.client_id()).finish()
    }
}

/// The product name in the user name, for the hub's own logs.
const CLIENT_TYPE: &str = concat!("iothub-mqtt/", env!("CARGO_PKG_VERSION"));

impl DeviceClient {
    /// A client whose [`Driver`] the caller runs in a tokio runtime; callbacks run inside it.
    pub fn driven(config: Config) -> Result<(Self, Driver)> {
        Self::assemble(config, false)
    }

    /// A client served by the library's threads.
    pub fn threaded(config: Config) -> Result<Self> {
        let (client, driver) = Self::assemble(config, true)?;
        io::spawn(driver)?;
        Ok(client)
    }

    fn assemble(config: Config, threaded: bool) -> Result<(Self, Driver)> {
        let missing = |what, how| Error::argument(what, format_args!("not given: {how}"));
        let identity =
            config.identity.ok_or_else(|| missing("identity", "set a connection string or an identity"))?;
        let credential = config
            .credential
            .ok_or_else(|| missing("credential", "set a key, a SAS token or a certificate"))?;
        let has_certificate = config.tuning.tls.identity.is_some();
        if matches!(credential, Source::Credential(Credential::Certificate)) && !has_certificate {
            return Err(missing(
                "certificate",
                "the connection string says x509=true, set the certificate and its key",
            ));
        }
        let query = UsernameQuery {
            device_client_type: Some(CLIENT_TYPE),
            model_id: config.model_id.as_deref(),
            ..UsernameQuery::default()
        };
        let will = match &config.will {
            Some((message, qos)) => Some(Will {
                topic: message.telemetry_topic(&identity)?,
                payload: message.body().clone(),
                qos: *qos,
                retain: false,
            }),
            None => None,
        };
        let connect = Connect {
            client_id: identity.client_id(),
            clean_session: false,
            keep_alive: u16::try_from(config.tuning.keep_alive.as_secs()).unwrap_or(u16::MAX),
            username: Some(identity.username(&query)),
            password: None,
            will,
        };
        let host = config.gateway.as_deref().unwrap_or(identity.hub_host()).to_owned();
        let access = Access::new(connect, identity.clone(), credential, config.sas_life, &config.tuning)?;
        let (mqtt, driver) = MqttClient::assemble(
            &host,
            &config.tuning,
            access,
            Some(Policy::new(identity.clone())),
            threaded,
        )?;
        let telemetry = telemetry_prefix(&identity).into();
        Ok((Self { mqtt, identity: Arc::new(identity), telemetry, subscribed: Arc::default() }, driver))
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
        let Some(mut handler) = handler else {
            self.mqtt.on_message(None);
            return Ok(());
        };
        let filter = devicebound_filter(&self.identity).ok_or_else(|| {
            Error::new(
                crate::ErrorKind::Unsupported,
                "IoT Hub sends cloud-to-device messages to devices, not modules",
            )
        })?;
        // First what may be refused: then the handler is not kept either.
        let mut subscribed = self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*subscribed {
            self.mqtt.subscribe_with(vec![(filter, QoS::AtLeastOnce)], Completion::ignored())?;
            *subscribed = true;
        }
        drop(subscribed);
        let identity = Arc::clone(&self.identity);
        self.mqtt.on_message(Some(Box::new(move |message| {
            match Message::from_devicebound(&message.topic, message.payload, &identity) {
                Ok(parsed) => handler(&parsed, message.delivery.unwrap_or(Delivery(0))),
                Err(error) => {
                    // It would come again for ever.
                    log::warn!("a cloud-to-device message was dropped: {error}");
                    Ack::Now
                }
            }
        })));
        Ok(())
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

/// Gets a message and its delivery number; says whether it is settled.
pub type MessageHandler = Box<dyn FnMut(&Message, Delivery) -> Ack + Send>;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::error::ErrorKind;

    fn config() -> Config {
        let mut config = Config::new();
        config.set_connection_string("HostName=localhost;DeviceId=d;SharedAccessKey=AAAA").unwrap();
        config
    }

    /// What a panic on the I/O thread comes down to.
    #[test]
    fn a_client_whose_driver_is_gone_ends() {
        let (client, driver) = DeviceClient::assemble(config(), true).unwrap();
        let (sender, ends) = mpsc::channel();
        let tell = |what| {
            let sender = sender.clone();
            Completion::new(move |result| sender.send((what, result.unwrap_err().kind())).unwrap())
        };
        client.send_with(&Message::new("m"), tell("send")).unwrap();
        client.connect_with(tell("connect")).unwrap();
        drop(driver);
        assert_eq!(ends.recv().unwrap(), ("send", ErrorKind::Closed));
        assert_eq!(ends.recv().unwrap(), ("connect", ErrorKind::Closed));
        let refused = client.send(&Message::new("m")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        client.free();
    }

    /// A task that was aborted takes its driver with it.
    #[test]
    fn a_client_that_nobody_drives_any_more_ends() {
        let (client, driver) = DeviceClient::driven(config()).unwrap();
        let (sender, ends) = mpsc::channel();
        let done = Completion::new(move |result| sender.send(result.unwrap_err().kind()).unwrap_or_default());
        client.send_with(&Message::new("m"), done).unwrap();
        drop(driver);
        assert_eq!(ends.try_recv(), Ok(ErrorKind::Closed));
        assert_eq!(client.send(&Message::new("m")).unwrap_err().kind(), ErrorKind::Closed);
    }

    /// There is no thread to wait for.
    #[test]
    fn freeing_a_client_without_threads_waits_for_nobody() {
        let (client, driver) = DeviceClient::driven(config()).unwrap();
        let (sender, freed) = mpsc::channel();
        std::thread::spawn(move || {
            client.free();
            sender.send(()).unwrap();
        });
        freed.recv_timeout(Duration::from_secs(10)).unwrap();
        drop(driver);
    }

    #[test]
    fn a_handler_that_panics_is_called_again() {
        let client = DeviceClient::threaded(config()).unwrap();
        let (sender, states) = mpsc::channel();
        client.on_status(Some(Box::new(move |status| {
            sender.send(status.state).unwrap();
            assert_eq!(status.state, crate::ConnectionState::Closed, "as the test wants it");
        })));
        drop(client.connect().unwrap());
        assert_eq!(states.recv().unwrap(), crate::ConnectionState::Connecting);
        drop(client.close(Duration::ZERO).unwrap());
        while states.recv_timeout(Duration::from_secs(10)).unwrap() != crate::ConnectionState::Closed {}
    }

    #[test]
    fn a_client_may_be_freed_by_what_its_handler_owns() {
        struct Frees(DeviceClient, mpsc::Sender<()>);
        impl Drop for Frees {
            fn drop(&mut self) {
                self.0.free();
                self.1.send(()).unwrap();
            }
        }
        let client = DeviceClient::threaded(config()).unwrap();
        let (sender, freed) = mpsc::channel();
        let frees = Frees(client.clone(), sender);
        client.on_status(Some(Box::new(move |_| {
            let _ = &frees;
        })));
        drop(client.close(Duration::ZERO).unwrap());
        freed.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn a_refused_handler_is_not_kept() {
        let client = DeviceClient::threaded(config()).unwrap();
        let owned = Arc::new(());
        let handler = |owned: &Arc<()>| -> Option<MessageHandler> {
            let owned = Arc::clone(owned);
            Some(Box::new(move |_, _| {
                let _ = &owned;
                Ack::Now
            }))
        };
        client.free();
        assert_eq!(client.on_message(handler(&owned)).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(Arc::strong_count(&owned), 1);
    }

    #[test]
    fn after_the_end_close_is_refused_at_once() {
        let client = DeviceClient::threaded(config()).unwrap();
        let (sender, refusals) = mpsc::channel();
        let inner = client.clone();
        client.on_status(Some(Box::new(move |status| {
            assert_eq!(status.state, crate::ConnectionState::Closed);
            let again = inner.close(Duration::ZERO).map(drop);
            sender.send((again.unwrap_err().kind(), inner.connect().map(drop).unwrap_err().kind())).unwrap();
        })));
        drop(client.close(Duration::ZERO).unwrap());
        let refusal = refusals.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(refusal, (ErrorKind::Closed, ErrorKind::Closed));
    }
}
