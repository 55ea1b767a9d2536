//! The one thread that does the I/O of every client that is not driven by its application.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use super::driver::Driver;
use crate::error::{Error, ErrorKind, Result};

static RUNTIME: OnceLock<Handle> = OnceLock::new();

fn runtime() -> Result<&'static Handle> {
    if let Some(handle) = RUNTIME.get() {
        return Ok(handle);
    }
    let failed =
        |error: std::io::Error| Error::new(ErrorKind::Internal, format!("no thread for the I/O: {error}"));
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    // Two first clients at once: the runtime that came second is dropped unused.
    if RUNTIME.set(handle).is_ok() {
        std::thread::Builder::new()
            .name("iothub-io".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(failed)?;
    }
    RUNTIME.get().ok_or_else(|| Error::new(ErrorKind::Internal, "no thread for the I/O"))
}

pub(crate) fn spawn(mut driver: Driver) -> Result<()> {
    runtime()?.spawn(async move { driver.run().await });
    Ok(())
}

/// Calls `f` on the I/O thread after `delay`; `f` must not block.
pub(super) fn after(delay: Duration, f: fn()) {
    if let Ok(runtime) = runtime() {
        runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            f();
        });
    }
}
