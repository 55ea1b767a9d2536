//! The hub's state behind one lock, and what connections and back-ends do with it.
//!
//! `lifecycle` registers devices and modules, `links` connects and disconnects, `messages` carries telemetry and C2D, `inputs` what modules send
//! each other, `properties` twins, `methods` direct methods, `disturb` faults; `connection` is the one that owns a socket.

pub(crate) mod connection;
mod deliver;
mod disruption;
mod disturb;
mod handshake;
mod inputs;
mod lifecycle;
mod links;
mod messages;
mod methods;
mod packet;
mod properties;
pub(crate) mod rules;
mod turn;

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::auth::Authority;
use crate::events::EventBus;
use crate::faults::Waiting;
use crate::module_routes::Route;
use crate::registry::Registry;
use crate::settings::Settings;

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) authority: Authority,
    pub(crate) events: EventBus,
    pub(crate) settings: Settings,
    routes: Vec<Route>,
    state: Mutex<State>,
    links: AtomicU64,
    methods: methods::Calls,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    pub(crate) waiting: Waiting,
}

impl Broker {
    pub(crate) fn new(
        authority: Authority,
        registry: Registry,
        routes: Vec<Route>,
        settings: Settings,
    ) -> Self {
        Self {
            authority,
            events: EventBus::default(),
            settings,
            routes,
            state: Mutex::new(State { registry, waiting: Waiting::default() }),
            links: AtomicU64::new(0),
            methods: methods::Calls::default(),
        }
    }

    /// No lock is held across an await or an event's formatting longer than one operation takes.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
