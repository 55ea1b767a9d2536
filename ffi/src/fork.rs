//! A child process has a copy of the clients, and none of the threads that serve them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use iothub::{Error, ErrorKind, Result};

static IN_CHILD: AtomicBool = AtomicBool::new(false);
static WATCHED: Mutex<bool> = Mutex::new(false);

unsafe extern "C" fn enter_child() {
    IN_CHILD.store(true, Ordering::Relaxed);
}

pub(crate) fn in_child() -> bool {
    IN_CHILD.load(Ordering::Relaxed)
}

/// From now on child processes are told apart. Called where the first client is made and not
/// earlier: a daemon forks first and uses the library then.
pub(crate) fn watch() -> Result<()> {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*watched {
        // SAFETY: the handler only stores to a static, which any child may do.
        let code = unsafe { libc::pthread_atfork(None, None, Some(enter_child)) };
        if code != 0 {
            let reason = std::io::Error::from_raw_os_error(code);
            return Err(Error::new(ErrorKind::Internal, format!("no notice of fork: {reason}")));
        }
        *watched = true;
    }
    Ok(())
}
