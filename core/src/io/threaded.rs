//! The one thread that does the I/O of every client that is not driven by its application.

use std::sync::Mutex;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use super::driver::Driver;
use super::wire::lock;
use crate::error::{Error, ErrorKind, Result};

static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);

fn runtime() -> Result<Handle> {
    let mut known = lock(&RUNTIME);
    if let Some(handle) = &*known {
        return Ok(handle.clone());
    }
    let failed =
        |error: std::io::Error| Error::new(ErrorKind::Internal, format!("no thread for the I/O: {error}"));
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("iothub-io".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map_err(failed)?;
    // Known only now: a runtime without its thread would serve nobody, ever.
    Ok(known.insert(handle).clone())
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
