//! Manual mode: the application's own loop does the I/O, on its own thread.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use iothub::{Config, DeviceClient, Error, ErrorKind, Result};

use crate::boundary;
use crate::client::Client;
use crate::fork;
use crate::handle;
use crate::options::Options;
use crate::status::StatusCode;

/// Who does a client's I/O and runs its callbacks.
pub type ModeCode = i32;

/// Threads of the library.
pub const IOTHUB_MODE_THREADED: ModeCode = 0;
/// The application, which waits for iothub_client_fd in its own loop and calls iothub_client_process.
pub const IOTHUB_MODE_MANUAL: ModeCode = 1;

/// Who does the I/O: IOTHUB_MODE_THREADED, the default, or IOTHUB_MODE_MANUAL.
///
/// IOTHUB_E_ARGUMENT: another number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_mode(options: *mut Options, mode: ModeCode) -> StatusCode {
    boundary::call(|| {
        // SAFETY: a pointer as the header asks for it.
        let options = unsafe { handle::borrow_mut("options", options) }?;
        if ![IOTHUB_MODE_THREADED, IOTHUB_MODE_MANUAL].contains(&mode) {
            return Err(Error::argument("mode", format_args!("{mode} is no IOTHUB_MODE_*")));
        }
        options.mode = mode;
        Ok(())
    })
}

/// A client, with its host where that is the application.
pub(crate) fn new_client(config: Config, mode: ModeCode) -> Result<Client> {
    if mode == IOTHUB_MODE_THREADED {
        return Ok(Client { client: DeviceClient::threaded(config)?, manual: None });
    }
    let (client, manual) = DeviceClient::manual(config)?;
    Ok(Client { client, manual: Some(Arc::new(manual)) })
}

/// IOTHUB_MODE_MANUAL: the descriptor to wait for, the same for the client's whole life, reconnects
/// included. It is readable (POLLIN) exactly when iothub_client_process has something to do. Only wait for
/// it - poll, select, epoll and the loops that stand on them will do - and never read, write or close it.
/// iothub_client_free closes it: take it out of the loop before.
///
/// -1 in IOTHUB_MODE_THREADED, for NULL, and in a child process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_fd(client: *const Client) -> i32 {
    if fork::in_child() {
        return -1;
    }
    boundary::value(-1, || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { client.as_ref() };
        client.and_then(|client| client.manual.as_ref()).map_or(-1, |manual| manual.fd().as_raw_fd())
    })
}

/// How many milliseconds the loop may wait at most before it calls iothub_client_process although the
/// descriptor is not readable; -1: as long as it likes. On Linux that is always so: the descriptor has a
/// timer in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_next_timeout_ms(client: *const Client) -> i32 {
    // Kept for systems whose descriptors hold no timer.
    let _ = client;
    -1
}

/// IOTHUB_MODE_MANUAL: does what can be done - connecting, sending, receiving - and runs the callbacks, all
/// on the calling thread. With nothing to do it waits for the first event: not at all for 0, for up to
/// timeout_ms, or without an end for -1. A signal that the process catches ends the waiting as well, with
/// IOTHUB_OK. One call does a bounded amount of work; the descriptor stays readable if there is more.
///
/// IOTHUB_E_CLOSED: the client has ended and everything was delivered; from then on at each call, and the
/// descriptor is not readable any more. IOTHUB_E_STATE: in IOTHUB_MODE_THREADED, inside one of the client's
/// callbacks, or while another thread is inside this function with the same client. IOTHUB_E_ARGUMENT:
/// timeout_ms is less than -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_process(client: *mut Client, timeout_ms: i32) -> StatusCode {
    boundary::call(|| {
        // SAFETY: a pointer as the header asks for it.
        let manual = unsafe { handle::borrow("client", client) }?.manual.clone();
        let Some(manual) = manual else {
            let text = "process: the client is in IOTHUB_MODE_THREADED, where the library's threads do this";
            return Err(Error::new(ErrorKind::State, text));
        };
        let timeout = match u64::try_from(timeout_ms) {
            Ok(ms) => Some(Duration::from_millis(ms)),
            Err(_) if timeout_ms == -1 => None,
            Err(_) => return Err(Error::argument("timeout_ms", "less than -1")),
        };
        // The client's handle may be freed inside; the host is kept by this clone of its own.
        manual.process(timeout)
    })
}
