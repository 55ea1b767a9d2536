//! Faults: to the live connections at once, and to those that come later.

use std::time::Instant;

use super::Broker;
use super::links::Cause;
use crate::error::HubError;
use crate::events::Event;
use crate::faults::{Armed, Fault, FaultKind, Waiting};
use crate::identity::Identity;
use crate::registry::{Command, Session};

/// What happens to a connection rather than to a request.
const ON_CONNECTIONS: [FaultKind; 9] = [
    FaultKind::Drop,
    FaultKind::LoseSession,
    FaultKind::HalfOpen,
    FaultKind::Delay,
    FaultKind::SlowReader,
    FaultKind::Expire,
    FaultKind::TakeOver,
    FaultKind::Truncate,
    FaultKind::Corrupt,
];

impl Broker {
    /// Arms a fault; how many connections it has reached already, and whether it waits for more.
    pub(crate) fn fault(&self, fault: &Fault) -> Result<(usize, bool), HubError> {
        let mut armed = Armed::new(fault, Instant::now())?;
        let dps_knows = self.dps.knows(&fault.device);
        let mut state = self.state();
        let named = Identity::parse(&fault.device);
        let registered = state.registry.get(&named).is_some();
        if fault.device != "*" && !dps_knows && !registered {
            return Err(HubError::not_found(&named));
        }
        let reached = match ON_CONNECTIONS.contains(&armed.kind) {
            true => self.reach(&mut state, &mut armed),
            false => 0,
        };
        self.events.emit(registered.then_some(&named), || Event::Fault {
            name: armed.kind.name(),
            target: fault.device.clone(),
            reached,
            waiting: armed.uses_left(),
            note: None,
        });
        Ok((reached, state.waiting.add(armed)))
    }

    /// Arms a fault that nobody waits for an answer to: an event says what kept it from being armed.
    pub(crate) fn fault_by_itself(&self, fault: &Fault) {
        let Err(error) = self.fault(fault) else {
            return;
        };
        self.events.emit(None, || Event::Fault {
            name: FaultKind::parse(&fault.fault).map_or("", FaultKind::name),
            target: fault.device.clone(),
            reached: 0,
            waiting: Some(0),
            note: Some(format!("not armed: {}", error.message)),
        });
    }

    /// Gives a fault to the live connections that it is for; how many there are.
    fn reach(&self, state: &mut super::State, armed: &mut Armed) -> usize {
        let identities: Vec<Identity> =
            state.registry.identities().into_iter().filter(|identity| armed.is_for(identity)).collect();
        let mut reached = 0;
        for identity in &identities {
            if armed.after_messages.is_none() && ends_at_once(armed.kind) {
                reached += usize::from(self.end_by_fault(state, identity, armed.kind));
            }
            reached += usize::from(Self::command(state, identity, Command::Fault(armed.clone())));
        }
        let forgot = armed.kind == FaultKind::LoseSession && armed.after_messages.is_none();
        if reached > 0 || forgot {
            armed.use_once();
        }
        reached
    }

    /// The faults that end a connection need no help from its task.
    fn end_by_fault(&self, state: &mut super::State, identity: &Identity, kind: FaultKind) -> bool {
        let connected = state.registry.get(identity).is_some_and(|entry| entry.link.is_some());
        self.end_link(state, identity, None, fault_cause(kind));
        if kind == FaultKind::LoseSession {
            self.forget_session(state, identity);
        }
        connected
    }

    fn forget_session(&self, state: &mut super::State, identity: &Identity) {
        if let Some(entry) = state.registry.get_mut(identity) {
            entry.session = Session::default();
            entry.queue.unlock_all();
        }
    }

    /// Ends a connection by a fault that it was given earlier.
    pub(crate) fn drop_by_fault(&self, identity: &Identity, number: u64, kind: FaultKind) {
        let mut state = self.state();
        let current = state.registry.get(identity).and_then(|entry| entry.link.as_ref());
        if current.map(|link| link.number) == Some(number) {
            self.end_by_fault(&mut state, identity, kind);
        }
    }

    /// What waits for a new connection of `identity`.
    pub(crate) fn connection_faults(&self, identity: &Identity) -> Vec<Armed> {
        let now = Instant::now();
        let mut state = self.state();
        ON_CONNECTIONS.iter().filter_map(|kind| state.waiting.take(*kind, identity, now)).collect()
    }

    /// The faults that wait for a connection or a request.
    pub(crate) fn waiting_faults(&self, now: Instant) -> Vec<Fault> {
        self.state().waiting.list(now)
    }

    pub(crate) fn disarm_faults(&self) {
        self.state().waiting = Waiting::default();
    }

    pub(crate) fn take_fault(&self, kind: FaultKind, identity: &Identity) -> Option<Armed> {
        self.state().waiting.take(kind, identity, Instant::now())
    }
}

/// Whether the connection ends without its task having anything to do first.
pub(crate) fn ends_at_once(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Drop | FaultKind::LoseSession | FaultKind::Expire | FaultKind::TakeOver)
}

fn fault_cause(kind: FaultKind) -> Cause {
    match kind {
        FaultKind::LoseSession => Cause::new("fault", "dropped on demand, with its session"),
        FaultKind::Expire => Cause::new("expired", "401003 IoTHubUnauthorized: expired on demand"),
        FaultKind::TakeOver => super::links::taken_over(),
        _ => Cause::new("fault", "dropped on demand"),
    }
}
