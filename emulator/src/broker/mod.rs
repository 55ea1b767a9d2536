//! The hub's state behind one lock, and what connections and back-ends do with it.
//!
//! `lifecycle` registers devices and modules, `provision` those of the provisioning service, `links`
//! connects and disconnects, `messages` carries telemetry and C2D, `feedback` says what became of C2D,
//! `inputs` what modules send each other, `notices` the hub's own messages to routes, `properties` twins,
//! `methods` direct methods, `disturb` faults, `overview` tells people; `connection` is the one that owns a
//! socket.

pub(crate) mod connection;
mod deliver;
mod disruption;
mod disturb;
mod feedback;
mod handshake;
mod inputs;
mod lifecycle;
mod links;
pub(crate) mod mailbox;
mod messages;
mod methods;
mod notices;
mod overview;
pub(crate) mod packet;
mod properties;
mod provision;
pub(crate) mod rules;
#[cfg(test)]
mod storm_tests;
pub(crate) mod traffic;
mod turn;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::auth::Authority;
use crate::dps::Dps;
use crate::events::EventBus;
use crate::faults::Waiting;
use crate::feedback::Feedback;
use crate::files::Files;
use crate::module_routes::Route;
use crate::registry::Registry;
use crate::routing::Routing;
use crate::settings::Settings;

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) authority: Authority,
    pub(crate) events: Arc<EventBus>,
    pub(crate) settings: Settings,
    pub(crate) files: Files,
    pub(crate) routing: Routing,
    pub(crate) dps: Dps,
    routes: Vec<Route>,
    state: Mutex<State>,
    links: AtomicU64,
    methods: methods::Calls,
    feedback: Mutex<Feedback>,
}

/// What a broker is made of.
pub(crate) struct Parts {
    pub(crate) authority: Authority,
    pub(crate) registry: Registry,
    /// Between the modules of a device.
    pub(crate) routes: Vec<Route>,
    pub(crate) routing: Routing,
    pub(crate) files: Files,
    pub(crate) dps: Dps,
    pub(crate) settings: Settings,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    pub(crate) waiting: Waiting,
}

impl Broker {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { authority, registry, routes, routing, files, dps, settings } = parts;
        Self {
            authority,
            events: Arc::default(),
            settings,
            files,
            routing,
            dps,
            routes,
            state: Mutex::new(State { registry, waiting: Waiting::default() }),
            links: AtomicU64::new(0),
            methods: methods::Calls::default(),
            feedback: Mutex::default(),
        }
    }

    /// No lock is held across an await or an event's formatting longer than one operation takes.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
