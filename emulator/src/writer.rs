//! Lines of text into a file.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

/// Lines that come sooner than this after others wait for it, so that a busy hub need not wake the
/// thread, and the thread not write, for each of them.
const GATHERED: Duration = Duration::from_millis(1);

/// Writes from a thread of its own, so that a slow disk or reader never holds up the hub; it ends
/// with the lines.
pub(crate) fn write_lines(
    sink: Box<dyn Write + Send>,
    mut lines: UnboundedReceiver<Arc<str>>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("events".into()).spawn(move || {
        let mut out = BufWriter::new(sink);
        let mut last: Option<Instant> = None;
        while let Some(line) = lines.blocking_recv() {
            if last.is_some_and(|last| last.elapsed() < GATHERED) {
                std::thread::sleep(GATHERED);
            }
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
            last = Some(Instant::now());
        }
    })
}
