//! A named place that messages are routed to.

use std::fs::OpenOptions;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::options::EndpointOptions;
use crate::events::{Event, EventBus};
use crate::identity::Identity;
use crate::writer::write_lines;

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: String,
    stream: bool,
    bus: Arc<EventBus>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Endpoint {
    /// Opens the file, so that a wrong path is an error at once.
    pub(super) fn open(options: &EndpointOptions) -> Result<Self, String> {
        let bus = Arc::new(EventBus::default());
        let mut writer = None;
        if let Some(path) = &options.file {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let opened = file.and_then(|file| write_lines(Box::new(file), bus.lines()));
            writer = Some(opened.map_err(|e| format!("{}: {e}", path.display()))?);
        }
        Ok(Self { name: options.name.clone(), stream: options.stream, bus, writer: Mutex::new(writer) })
    }

    pub(super) fn emit(&self, identity: &Identity, make: impl FnOnce() -> Event) {
        self.bus.emit_if_heard(Some(identity), make);
    }

    /// Where its messages can be read; `None` where the endpoint is no stream.
    pub(super) fn stream(&self) -> Option<Arc<EventBus>> {
        self.stream.then(|| self.bus.clone())
    }

    /// Ends the streams and waits until the file has everything.
    pub(super) fn close(&self) {
        self.bus.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}
