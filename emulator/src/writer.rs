//! Lines of text into a file.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedReceiver;

/// Writes from a thread of its own, so that a slow disk or reader never holds up the hub; it ends
/// with the lines.
pub(crate) fn write_lines(
    sink: Box<dyn Write + Send>,
    mut lines: UnboundedReceiver<Arc<str>>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("events".into()).spawn(move || {
        let mut out = BufWriter::new(sink);
        while let Some(line) = lines.blocking_recv() {
            let mut write = |line: &str| writeln!(out, "{line}");
            let mut written = write(&line);
            while written.is_ok()
                && let Ok(line) = lines.try_recv()
            {
                written = write(&line);
            }
            // Nobody reads any more: the hub goes on without.
            if written.and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    })
}
