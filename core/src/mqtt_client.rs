//! A client of topics: what other brokers know, and what the hub's own client is built on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access::Access;
use crate::completion::{Completion, Pending};
use crate::config::{MqttConfig, Tuning};
use crate::error::Result;
use crate::hub::{Identity, Policy};
use crate::io::{
    self, Ack, Connection, Driver, Endpoint, FdSet, Greet, Greeting, Handler, Hosting, HubLink, Manual,
    Route, Shared,
};
use crate::mqtt::{Delivery, Message, Publish, QoS, check_filter, check_topic};
use crate::stats::Stats;
use crate::status::StatusHandler;

/// Publishes and subscribes over one connection that is kept up until it is closed.
///
/// Clones are handles of the same client; it closes when the last is dropped. Any method may be
/// called from any thread, also inside a callback.
#[derive(Clone)]
pub struct MqttClient(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    time_to_live: Option<Duration>,
    /// What the peer allows, when it is an IoT Hub.
    policy: Option<Policy>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // An error says that it was closed already.
        let _ = self.shared.close(Duration::ZERO, Completion::ignored());
    }
}

impl std::fmt::Debug for MqttClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MqttClient")
    }
}

impl MqttClient {
    /// A client whose [`Driver`] the caller runs in a tokio runtime; callbacks run inside it.
    pub fn driven(config: MqttConfig) -> Result<(Self, Driver)> {
        let (client, connection) = Self::new(config, Hosting::Driver)?;
        Ok((client, Driver::new(connection)))
    }

    /// A client served by the library's threads.
    pub fn threaded(config: MqttConfig) -> Result<Self> {
        let (client, connection) = Self::new(config, Hosting::Threads)?;
        io::spawn(Driver::new(connection))?;
        Ok(client)
    }

    /// A client for the application's own loop, which waits for [`Manual::fd`] and calls
    /// [`Manual::process`]; callbacks run inside it.
    pub fn manual(config: MqttConfig) -> Result<(Self, Manual)> {
        let (set, bell) = FdSet::new()?;
        let (client, connection) = Self::new(config, Hosting::Manual(bell))?;
        Ok((client, Manual::new(set, connection)))
    }

    fn new(config: MqttConfig, hosting: Hosting) -> Result<(Self, Connection)> {
        let MqttConfig { host, connect, tuning } = config;
        let policy = if Policy::is_hub_host(&host) {
            let (device, module) = match connect.client_id.split_once('/') {
                Some((device, module)) => (device, Some(module)),
                None => (connect.client_id.as_str(), None),
            };
            let policy = Policy::new(Identity::new(&host, device, module)?);
            if let Some(will) = &connect.will {
                policy.check_publish(&will.topic, will.qos as u8, will.payload.len())?;
            }
            Some(policy)
        } else {
            None
        };
        let greet = greet_with(connect, &tuning);
        let access = Access { greet, tls: tuning.tls.client_config()?, signing: None };
        Self::assemble(&host, &tuning, access, policy, None, hosting)
    }

    pub(crate) fn assemble(
        host: &str,
        tuning: &Tuning,
        access: Access,
        policy: Option<Policy>,
        hub: Option<HubLink>,
        hosting: Hosting,
    ) -> Result<(Self, Connection)> {
        let endpoint = Endpoint {
            host: host.to_owned(),
            port: tuning.port(),
            via: tuning.via(host),
            tls: Some((access.tls, io::server_name(host)?)),
            websocket: tuning.websocket_path(),
            connect_timeout: tuning.connect_timeout,
            stall_timeout: tuning.stall_timeout,
            unacknowledged_timeout: tuning.keep_alive + tuning.ping_timeout.max(tuning.stall_timeout),
            signing: access.signing,
            backoff: tuning.backoff(),
        };
        let (shared, connection) = io::assemble(endpoint, access.greet, tuning.settings(), hub, hosting);
        Ok((Self(Arc::new(Inner { shared, time_to_live: tuning.time_to_live, policy })), connection))
    }

    /// Connects, and stays connected until `close`. The answer is the first success, or the first
    /// refusal by the server or TLS; the trying goes on either way. May be called once.
    pub fn connect(&self) -> Result<Pending> {
        let (done, pending) = Completion::future();
        self.connect_with(done)?;
        Ok(pending)
    }

    /// As [`MqttClient::connect`], with a callback.
    pub fn connect_with(&self, done: Completion) -> Result<()> {
        self.0.shared.connect(done)
    }

    /// Sends what is queued and lets handlers finish with what they got, for up to `timeout`, then
    /// disconnects for good. The answer is an error
    /// of kind `Timeout` if something was left.
    pub fn close(&self, timeout: Duration) -> Result<Pending> {
        let (done, pending) = Completion::future();
        self.close_with(timeout, done)?;
        Ok(pending)
    }

    pub fn close_with(&self, timeout: Duration, done: Completion) -> Result<()> {
        self.0.shared.close(timeout, done)
    }

    /// Closes now and waits until no callback of this client runs or will run, except the one that
    /// calls it. A driven client is closed, and ends when its driver does. A manual client ends here:
    /// what is pending completes on this thread, after a call of [`Manual::process`] on another one
    /// has returned. Two callbacks that free each
    /// other's client wait for each other for ever.
    pub fn free(&self) {
        self.0.shared.free();
    }

    /// QoS 1: kept until the server has it, through any number of connections. QoS 0: only while
    /// connected, and done when handed to the connection.
    pub fn publish(&self, publish: &Publish<'_>) -> Result<Pending> {
        let (done, pending) = Completion::future();
        self.publish_with(publish, done)?;
        Ok(pending)
    }

    /// As [`MqttClient::publish`], with a callback. Returns the packet id.
    pub fn publish_with(&self, publish: &Publish<'_>, done: Completion) -> Result<u16> {
        let allowed = check_topic(publish.topic).and_then(|()| match &self.0.policy {
            Some(policy) => policy.check_publish(publish.topic, publish.qos as u8, publish.payload.len()),
            None => Ok(()),
        });
        match allowed {
            Ok(()) => self.publish_checked(publish, done),
            Err(error) => {
                done.abandon();
                Err(error)
            }
        }
    }

    /// The caller has made the topic by the hub's rules.
    pub(crate) fn publish_checked(&self, publish: &Publish<'_>, done: Completion) -> Result<u16> {
        let expiry = self.0.time_to_live.map(|time| Instant::now() + time);
        self.0.shared.operate(done, expiry.is_some(), |session, done| session.publish(publish, expiry, done))
    }

    /// The answer holds the QoS granted to each filter.
    pub fn subscribe(&self, filters: Vec<(String, QoS)>) -> Result<Pending> {
        let (done, pending) = Completion::future();
        self.subscribe_with(filters, done)?;
        Ok(pending)
    }

    pub fn subscribe_with(&self, filters: Vec<(String, QoS)>, done: Completion) -> Result<u16> {
        let allowed = |filter: &str| {
            check_filter(filter)?;
            self.0.policy.as_ref().map_or(Ok(()), |policy| policy.check_filter(filter))
        };
        if let Err(error) = filters.iter().try_for_each(|(filter, _)| allowed(filter)) {
            done.abandon();
            return Err(error);
        }
        self.0.shared.operate(done, false, |session, done| session.subscribe(filters, done))
    }

    pub fn unsubscribe(&self, filters: Vec<String>) -> Result<Pending> {
        let (done, pending) = Completion::future();
        self.unsubscribe_with(filters, done)?;
        Ok(pending)
    }

    pub fn unsubscribe_with(&self, filters: Vec<String>, done: Completion) -> Result<u16> {
        self.0.shared.operate(done, false, |session, done| session.unsubscribe(filters, done))
    }

    /// Acknowledges a message whose handler said [`Ack::Later`]. `NotFound` if it was acknowledged
    /// already or came on an earlier connection: then the server sends it again.
    pub fn acknowledge(&self, delivery: Delivery) -> Result<()> {
        self.0.shared.acknowledge(delivery)
    }

    /// Called for each received message, in order. `None` removes the handler; messages above
    /// QoS 0 then wait for the next one.
    pub fn on_message(&self, handler: Option<Box<dyn FnMut(Message) -> Ack + Send>>) {
        self.0.shared.set_handler(Route::Topic, handler.map(Handler::Topic));
    }

    /// Called for each change of the connection, in order with everything else.
    pub fn on_status(&self, handler: Option<StatusHandler>) {
        self.0.shared.set_handler(Route::Status, handler.map(Handler::Status));
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// What the client has done so far.
    pub fn stats(&self) -> Stats {
        self.0.shared.stats()
    }

    /// Operations that have not completed, and the bytes that they hold.
    pub fn queued(&self) -> (usize, usize) {
        self.0.shared.queued()
    }
}

fn greet_with(mut connect: crate::mqtt::Connect, tuning: &Tuning) -> Greet {
    connect.keep_alive = tuning.keep_alive_seconds();
    Greet::Now(Box::new(move || {
        Ok(Greeting { connect: connect.clone(), renew_after: None, doubt: None, tls: None })
    }))
}
