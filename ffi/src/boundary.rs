//! What surrounds every call from C: nothing runs in a child process, and no panic leaves.

use std::panic::{AssertUnwindSafe, catch_unwind};

use iothub::Result;

use crate::fork;
use crate::status::{IOTHUB_E_FORKED, IOTHUB_E_INTERNAL, IOTHUB_OK, StatusCode, remember, report};

/// Runs `f` and makes its result a status code and this thread's last error.
///
/// What `f` owns is dropped on every path, so that closures handed to a refused call are freed.
pub(crate) fn call(f: impl FnOnce() -> Result<()>) -> StatusCode {
    if fork::in_child() {
        remember("this is a child of the process that made a client; the library does not work here");
        return IOTHUB_E_FORKED;
    }
    // What a panic leaves half done are locks of core, which are taken again all the same.
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => IOTHUB_OK,
        Ok(Err(error)) => report(&error),
        Err(payload) => {
            // Dropping it could panic again.
            std::mem::forget(payload);
            remember("a bug in the library: it panicked");
            IOTHUB_E_INTERNAL
        }
    }
}

/// As [`call`] for what cannot fail otherwise: `fallback` where it does.
pub(crate) fn value<T>(fallback: T, f: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        std::mem::forget(payload);
        fallback
    })
}

/// Panics are reported by [`call`]; a library has no business on standard error. This copy of the
/// standard library is the C library's own, so the hook is nobody else's.
pub(crate) fn silence_panics() {
    #[cfg(not(test))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|info| match info.location() {
                Some(at) => log::error!("panic at {}:{}", at.file(), at.line()),
                None => log::error!("panic"),
            }));
        });
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::status::iothub_last_error;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(call(|| panic!("on purpose")), IOTHUB_E_INTERNAL);
        // SAFETY: valid until the next failure on this thread.
        let detail = unsafe { CStr::from_ptr(iothub_last_error()) };
        assert!(detail.to_str().unwrap().contains("panicked"));
        assert_eq!(value(7, || panic!("on purpose")), 7);
    }
}
