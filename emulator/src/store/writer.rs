//! The thread that writes what changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::Store;
use crate::broker::Broker;
use crate::error::StartError;
use crate::events::Event;
use crate::identity::Identity;

/// How many are looked at under one lock.
const BATCH: usize = 128;

/// What the thread is woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Changed,
    Stop,
}

#[derive(Debug)]
pub(crate) struct Writer {
    wake: SyncSender<Wake>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Writer {
    /// Writes what `broker` has that `store` has not, and from now on what changes.
    pub(crate) fn start(mut store: Store, broker: Arc<Broker>) -> Result<Self, StartError> {
        let (wake, woken) = sync_channel(1);
        broker.state().registry.watch(wake.clone());
        let thread = std::thread::Builder::new()
            .name("state".into())
            .spawn(move || keep(&mut store, &broker, &woken))
            .map_err(|e| StartError::new(format!("a thread: {e}")))?;
        Ok(Self { wake, thread: Some(thread) })
    }

    /// Ends the thread; everything is written when this returns, or the error says why not.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // It listens until it is told this.
        let _ = self.wake.send(Wake::Stop);
        thread.join().unwrap_or_else(|_| Err("its thread panicked".to_owned()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Only where the hub did not start: nothing has happened yet.
        let _ = self.finish();
    }
}

fn keep(store: &mut Store, broker: &Broker, woken: &Receiver<Wake>) -> Result<(), String> {
    // What could not be written, to be tried again with the next change.
    let mut pending = Pending::new();
    loop {
        let wake = woken.recv().unwrap_or(Wake::Stop);
        let written = write_changes(store, broker, &mut pending);
        if wake == Wake::Stop {
            return written;
        }
        if let Err(reason) = written {
            broker.events.emit(None, || Event::NotKept { reason });
        }
    }
}

/// What is to be written of whom: nothing where it is gone.
type Pending = BTreeMap<Identity, Option<Vec<u8>>>;

fn write_changes(store: &mut Store, broker: &Broker, pending: &mut Pending) -> Result<(), String> {
    if store.is_broken() {
        store.renew(|| {
            broker.state().registry.mark_everybody();
            while gather(broker, pending)? {}
            Ok(std::mem::take(pending).into_iter().collect())
        })?;
    }
    loop {
        let more = gather(broker, pending)?;
        if !more && pending.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = std::mem::take(pending).into_iter().collect();
        if let Err(error) = store.write(&rows) {
            pending.extend(rows);
            return Err(error);
        }
    }
}

/// Adds some of those who have changed, as they are now; false where there is nobody.
fn gather(broker: &Broker, pending: &mut Pending) -> Result<bool, String> {
    let mut state = broker.state();
    let changed = state.registry.take_changed(BATCH);
    for identity in &changed {
        let row = state.registry.get(identity).map(serde_json::to_vec).transpose();
        // Never for what an entry is made of; and a row is rather old than gone.
        let row = row.map_err(|e| format!("{identity}: {e}"))?;
        pending.insert(identity.clone(), row);
    }
    Ok(!changed.is_empty())
}
