//! Signatures from somewhere else: here from whoever reads what the agent says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use iothub_mqtt::hub::SasSigner;
use iothub_mqtt::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::{options, say};

/// Who waits for a signature.
static WAITING: Mutex<Option<HashMap<u64, Sender<Vec<u8>>>>> = Mutex::new(None);
static LAST: AtomicU64 = AtomicU64::new(0);

/// Asks for each signature by the name of its key, and blocks until it is there.
pub(crate) fn signer(key: &str) -> SasSigner {
    let key = key.to_owned();
    Arc::new(move |data| {
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel();
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get_or_insert_default().insert(id, sender);
        drop(waiting);
        say::line(&json!({ "event": "sign", "id": id, "key": key, "data": options::hex(data) }));
        receiver.recv().map_err(|_| Error::new(ErrorKind::Closed, "the agent has ended"))
    })
}

/// A signature has come.
pub(crate) fn signed(command: &Value) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let waiting = waiting.as_mut().and_then(|all| all.remove(&command["id"].as_u64()?));
    if let Some(sender) = waiting {
        // It may have been left behind.
        let _ = sender.send(options::bytes(command["signature"].as_str().unwrap_or_default()));
    }
}
