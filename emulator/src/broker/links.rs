//! Connections come and go: admission, takeover, sessions, subscriptions, last wills.

use std::sync::atomic::Ordering;

use super::mailbox::{Inbox, mailbox};
use super::properties::document;
use super::rules::{self, Subject};
use super::{Broker, State};
use crate::auth::Granted;
use crate::chain::Shown;
use crate::events::Event;
use crate::identity::Identity;
use crate::registry::{Command, Entry, Link, Session, Stamp, Subscription, Trouble, Will};
use crate::settings::{MethodFilters, StoredFilters, UnknownFilter};
use crate::time::now_text;

/// Why a connection ended: a stable word and a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

impl Cause {
    pub(crate) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// What a connection brings that was let in.
pub(crate) struct Arrival {
    pub(crate) granted: Granted,
    pub(crate) clean_session: bool,
    pub(crate) will: Option<Will>,
    pub(crate) model_id: Option<String>,
    pub(crate) protocol: &'static str,
}

/// The connection's own end of its [`Link`].
pub(crate) struct Attached {
    pub(crate) number: u64,
    pub(crate) session_present: bool,
    pub(crate) stamp: Stamp,
    pub(crate) commands: Inbox,
}

impl Broker {
    /// Decides a CONNECT; the error is for people and never for the wire.
    pub(crate) fn admit(
        &self,
        identity: &Identity,
        password: Option<&str>,
        certificate: Option<&Shown>,
        now: u64,
    ) -> Result<Granted, Cause> {
        let state = self.state();
        let entry = enabled(&state, identity)?;
        self.authority
            .admit(identity, &entry.record.credential, password, certificate, now)
            .map_err(|reason| Cause::new("unauthorized", format!("401003 IoTHubUnauthorized: {reason}")))
    }

    /// Puts a new connection in the place of an old one of the same identity, unless that was deleted
    /// or disabled since it was let in: who disables it cuts the connections that are there.
    pub(crate) fn attach(&self, identity: &Identity, arrival: Arrival) -> Result<Attached, Cause> {
        let (commands, inbox) = mailbox();
        let number = self.links.fetch_add(1, Ordering::Relaxed) + 1;
        let mut state = self.state();
        enabled(&state, identity)?;
        self.end_link(&mut state, identity, None, taken_over());
        let entry = state.registry.get_mut(identity).ok_or_else(|| unknown(identity))?;
        let session_present = entry.session.stored && !arrival.clean_session;
        if !session_present {
            entry.session = Session::default();
            entry.queue.unlock_all();
        }
        if self.settings.stored_filters == StoredFilters::Queued {
            entry.session.subscriptions.retain(|s| s.subject == Subject::of_queue(identity));
        }
        entry.session.stored = !arrival.clean_session;
        entry.model_id = arrival.model_id.clone().or(entry.model_id.take());
        let now = now_text();
        entry.connection_changed = Some(now.clone());
        entry.last_activity = Some(now);
        let stamp = Stamp {
            auth_method: arrival.granted.method,
            generation: entry.record.generation.clone(),
            model_id: arrival.model_id,
        };
        self.events.emit(Some(identity), || Event::Connected {
            session_present,
            clean_session: arrival.clean_session,
            auth: stamp.auth_method.clone(),
            protocol: arrival.protocol,
        });
        entry.link = Some(Link {
            number,
            commands,
            will: arrival.will,
            stamp: stamp.clone(),
            clean_session: arrival.clean_session,
            protocol: arrival.protocol,
        });
        self.notify_link("deviceConnected", identity, entry);
        self.methods.arrivals.notify_waiters();
        Ok(Attached { number, session_present, stamp, commands: inbox })
    }

    /// Ends the connection `number`, unless somebody else has.
    pub(crate) fn detach(&self, identity: &Identity, number: u64, cause: Cause) {
        let mut state = self.state();
        self.end_link(&mut state, identity, Some(number), cause);
    }

    /// Discards the last will: the client says good-bye.
    pub(crate) fn discard_will(&self, identity: &Identity, number: u64) {
        let mut state = self.state();
        let link = state.registry.get_mut(identity).and_then(|entry| entry.link.as_mut());
        if let Some(link) = link.filter(|link| link.number == number) {
            link.will = None;
        }
    }

    /// Takes the link out, which makes its task close the socket; records the will and the end.
    pub(super) fn end_link(&self, state: &mut State, identity: &Identity, number: Option<u64>, cause: Cause) {
        let Some(entry) = state.registry.get_mut(identity) else {
            return;
        };
        if number.is_some() && entry.link.as_ref().map(|link| link.number) != number {
            return;
        }
        let Some(link) = entry.link.take() else {
            return;
        };
        let now = now_text();
        entry.connection_changed = Some(now.clone());
        entry.last_activity = Some(now.clone());
        let Cause { code, reason } = cause;
        entry.trouble = Some(Trouble { event: "disconnected", time: now, code, reason: reason.clone() });
        if link.clean_session {
            entry.session = Session::default();
            entry.queue.unlock_all();
        }
        if let Some(mut will) = link.will {
            rules::set(&mut will.properties.application, "iothub-MessageType".into(), Some("Will".into()));
            let twin = || Some(document(identity, entry));
            self.record(identity, &link.stamp, will.body, will.properties, &twin);
        }
        self.notify_link("deviceDisconnected", identity, entry);
        self.events.emit(Some(identity), || Event::Disconnected { code, reason });
    }

    /// Adds subscriptions; the granted QoS of each, `None` where it is refused, or why the
    /// connection is closed.
    pub(crate) fn subscribe(
        &self,
        identity: &Identity,
        filters: impl Iterator<Item = (String, u8)>,
    ) -> Result<Vec<Option<u8>>, String> {
        let limit = usize::from(self.settings.filter_limit);
        let mut state = self.state();
        let Some(entry) = state.registry.get_mut(identity) else {
            return Err("the identity is gone".into());
        };
        let mut granted = Vec::new();
        let mut named = Vec::new();
        for (filter, wanted) in filters {
            let qos = wanted.min(1);
            let Some(subject) = rules::classify_filter(identity, &filter) else {
                let (answer, rule) = match self.settings.unknown_filter {
                    UnknownFilter::Close => {
                        return Err(format!("'{filter}' is not a filter that {identity} may subscribe to"));
                    }
                    UnknownFilter::Refuse => (None, "unknown-filter=refuse"),
                    UnknownFilter::Ignore => (Some(qos), "unknown-filter=ignore"),
                };
                granted.push(answer);
                self.events.emit(Some(identity), || Event::Ignored { what: "filter", topic: filter, rule });
                continue;
            };
            let subscriptions = &mut entry.session.subscriptions;
            if let Some(known) = subscriptions.iter_mut().find(|s| s.filter == filter) {
                known.qos = qos;
            } else if subscriptions.len() < limit {
                subscriptions.push(Subscription { filter: filter.clone(), subject, qos });
            } else {
                return Err(format!("'{filter}' is one topic filter more than the {limit} allowed"));
            }
            granted.push(Some(qos));
            named.push((filter, qos));
        }
        self.events.emit(Some(identity), || Event::Subscribed { filters: named });
        self.methods.arrivals.notify_waiters();
        Ok(granted)
    }

    pub(crate) fn unsubscribe(&self, identity: &Identity, filters: Vec<String>) {
        let mut state = self.state();
        let Some(entry) = state.registry.get_mut(identity) else {
            return;
        };
        entry.session.subscriptions.retain(|s| !filters.contains(&s.filter));
        self.events.emit(Some(identity), || Event::Unsubscribed { filters });
    }

    /// Sends `command` to the connection of `identity`; false where there is none.
    pub(super) fn command(state: &State, identity: &Identity, command: Command) -> bool {
        let link = state.registry.get(identity).and_then(|entry| entry.link.as_ref());
        link.is_some_and(|link| link.commands.send(command))
    }

    /// The QoS at which `subject` is granted to the connected client.
    pub(crate) fn granted(&self, identity: &Identity, subject: Subject) -> Option<u8> {
        self.state().registry.get(identity).and_then(|entry| entry.granted(subject))
    }

    /// The QoS at which calls of the method `name` are granted to the connected client.
    pub(crate) fn granted_method(&self, identity: &Identity, name: &str) -> Option<u8> {
        if self.settings.method_filters == MethodFilters::Any {
            return self.granted(identity, Subject::Methods);
        }
        self.state().registry.get(identity).and_then(|entry| entry.granted_method(name))
    }

    pub(crate) fn is_connected(&self, identity: &Identity) -> bool {
        self.state().registry.get(identity).is_some_and(|entry| entry.link.is_some())
    }
}

fn enabled<'a>(state: &'a State, identity: &Identity) -> Result<&'a Entry, Cause> {
    let entry = state.registry.get(identity).ok_or_else(|| unknown(identity))?;
    // A module of a disabled device is disabled with it.
    let device = state.registry.get(&Identity::device(identity.device_id()));
    match entry.record.enabled && device.is_none_or(|device| device.record.enabled) {
        true => Ok(entry),
        false => Err(disabled(identity)),
    }
}

pub(super) fn unknown(identity: &Identity) -> Cause {
    Cause::new("unknown_device", format!("404001 DeviceNotFound: {identity} is not registered"))
}

pub(super) fn disabled(identity: &Identity) -> Cause {
    Cause::new("disabled", format!("403012 DeviceDisabled: {identity} is disabled"))
}

pub(super) fn taken_over() -> Cause {
    Cause::new(
        "taken_over",
        "400027 ConnectionForcefullyClosedOnNewConnection (409002 LinkCreationConflict): another connection of \
         the same identity came",
    )
}
