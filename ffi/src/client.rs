//! The client.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use iothub::io::{Ack, Manual};
use iothub::mqtt::Delivery;
use iothub::{ConnectionState, DeviceClient, Status};

use crate::boundary;
use crate::cause::{self, CauseCode};
use crate::closure::{Done, DoneFn, FreeFn, UserData};
use crate::fork;
use crate::handle;
use crate::manual;
use crate::message::Message;
use crate::options::Options;
use crate::status::{IOTHUB_OK, StatusCode, code};
use crate::text::c_text;

/// One device or module, connected or not.
pub struct Client {
    pub(crate) client: DeviceClient,
    /// In manual mode; a call that is inside has a clone, and lives longer than the handle.
    pub(crate) manual: Option<Arc<Manual>>,
}

/// What a connection is doing.
pub type StateCode = i32;

/// Ended, and not tried again: the client is being closed, or its configuration contradicts itself.
pub const IOTHUB_DISCONNECTED: StateCode = 0;
/// Being made, or waited for after a failure.
pub const IOTHUB_CONNECTING: StateCode = 1;
/// The hub has accepted it.
pub const IOTHUB_CONNECTED: StateCode = 2;
/// The client was closed; nothing follows.
pub const IOTHUB_CLOSED: StateCode = 3;

/// What becomes of a received message.
pub type AckCode = i32;

/// It is settled.
pub const IOTHUB_ACK_NOW: AckCode = 0;
/// iothub_client_ack settles it later.
pub const IOTHUB_ACK_LATER: AckCode = 1;

/// A change of the connection: its state, and why the connection before ended or could not be made, as a
/// cause, as the status code it belongs to (IOTHUB_OK where nothing went wrong and at a renewal;
/// IOTHUB_E_CLOSED once the application has closed the client) and as a sentence, which is valid until this
/// returns.
pub type StatusFn = Option<
    unsafe extern "C" fn(
        state: StateCode,
        cause: CauseCode,
        status: StatusCode,
        detail: *const c_char,
        user_data: *mut c_void,
    ),
>;

/// A cloud-to-device message, borrowed until this returns, and its delivery number. Returns
/// IOTHUB_ACK_NOW or IOTHUB_ACK_LATER; any other number counts as IOTHUB_ACK_LATER.
pub type MessageFn =
    Option<unsafe extern "C" fn(message: *const Message, delivery: u64, user_data: *mut c_void) -> AckCode>;

pub(crate) fn ack(code: AckCode) -> Ack {
    if code == IOTHUB_ACK_NOW { Ack::Now } else { Ack::Later }
}

/// A client with a copy of the options. Touches no network: set the handlers next, then connect. Free it
/// with iothub_client_free.
///
/// IOTHUB_E_ARGUMENT: the options give no identity or no credential, or contradict each other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_new(options: *const Options, out: *mut *mut Client) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    boundary::call(|| unsafe {
        let options = handle::borrow("options", options)?;
        handle::give(out, || {
            fork::watch()?;
            manual::new_client(options.config.clone(), options.mode)
        })
    })
}

/// Closes at once and frees; nothing for NULL. What is unfinished completes with IOTHUB_E_CLOSED; the
/// handlers are not called any more. When it returns, no callback of this client runs or will run and
/// every free_fn has run: it waits for a callback that is running (hold no lock that this needs), never
/// for the network. Callbacks of the options, which make credentials, are not waited for. In
/// IOTHUB_MODE_MANUAL the callbacks that are left run inside this call, after another thread that is inside
/// iothub_client_process has been woken and has left; the descriptor is closed.
///
/// It may be called inside one of the client's own callbacks: pending completions then run inside this
/// call, and only the callback that called it is left, with its own free_fn after it. Two clients whose
/// callbacks free each other at the same time wait for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_free(client: *mut Client) {
    // In a child process the threads are missing that this would wait for; what it holds is left alone.
    if client.is_null() || fork::in_child() {
        return;
    }
    boundary::value((), || {
        // SAFETY: a live handle, as the header asks for it. Callbacks may still use it until `free` returns.
        unsafe { &*client }.client.free();
        // SAFETY: as above, and from here nobody uses it any more.
        unsafe { handle::take_back(client) };
    });
}

/// Connects, and stays connected until iothub_client_close or iothub_client_free. done: the first
/// success, or the first refusal by the hub or TLS; after a refusal the trying goes on all the same, as
/// it does silently while the network is missing.
///
/// IOTHUB_E_STATE: it was called before. IOTHUB_E_CLOSED: the client was closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_connect(
    client: *mut Client,
    done: DoneFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let done = Done::new(done, user_data, free_fn);
    boundary::call(move || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.connect_with(done.into_completion())
    })
}

/// Sends what is queued and lets handlers finish with what they got, for up to timeout_ms, then disconnects
/// for good; nothing is accepted from now on but acknowledgements and answers to methods.
/// done: IOTHUB_OK, or IOTHUB_E_TIMEOUT if something was left, which was completed with IOTHUB_E_CLOSED
/// before. A second call may shorten the time.
///
/// IOTHUB_E_CLOSED: the client has ended already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_close(
    client: *mut Client,
    timeout_ms: u32,
    done: DoneFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let done = Done::new(done, user_data, free_fn);
    boundary::call(move || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.close_with(Duration::from_millis(timeout_ms.into()), done.into_completion())
    })
}

/// Calls fn for each change of the connection, in place of the function before, whose free_fn runs when
/// it is not running; NULL for none. Once the client has ended fn is not kept, and free_fn runs at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_on_status(
    client: *mut Client,
    r#fn: StatusFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    boundary::call(move || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.on_status(r#fn.map(|function| -> iothub::StatusHandler {
            Box::new(move |status: &Status| {
                let state = match status.state {
                    ConnectionState::Disconnected => IOTHUB_DISCONNECTED,
                    ConnectionState::Connecting => IOTHUB_CONNECTING,
                    ConnectionState::Connected => IOTHUB_CONNECTED,
                    ConnectionState::Closed => IOTHUB_CLOSED,
                };
                let detail = c_text(&status.detail);
                let (cause, error) =
                    (cause::number(status.cause), status.error_kind().map_or(IOTHUB_OK, code));
                // SAFETY: C's own function with C's own pointer; the text lives until it has returned.
                unsafe { function(state, cause, error, detail.as_ptr(), user_data.pointer()) };
            })
        }));
        Ok(())
    })
}

/// Sends telemetry, at least once. The message is copied: it may be changed, sent again or freed. Works
/// while disconnected, up to the queue's limits. done: IOTHUB_OK when the hub has acknowledged it;
/// IOTHUB_E_EXPIRED after its time to live; IOTHUB_E_CLOSED if the client was closed before. Messages are
/// acknowledged in the order in which they were sent.
///
/// IOTHUB_E_FULL: the queue is at its limit. IOTHUB_E_TOO_LARGE: more than 256 KiB with its properties.
/// IOTHUB_E_ARGUMENT: a field that this device or module cannot send. IOTHUB_E_CLOSED: the client was
/// closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_send(
    client: *mut Client,
    message: *const Message,
    done: DoneFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let done = Done::new(done, user_data, free_fn);
    boundary::call(move || {
        // SAFETY: pointers as the header asks for them.
        let (client, message) =
            unsafe { (handle::borrow("client", client)?, handle::borrow("message", message)?) };
        client.client.send_with(&message.message, done.into_completion())
    })
}

/// Calls fn for each cloud-to-device message, in order, in place of the function before, as
/// iothub_client_on_status does. The first call subscribes. With NULL messages wait for the next function; the hub keeps those that were not
/// acknowledged.
///
/// IOTHUB_E_UNSUPPORTED: a module, to which the hub sends no such messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_on_message(
    client: *mut Client,
    r#fn: MessageFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    boundary::call(move || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.on_message(r#fn.map(|function| -> iothub::MessageHandler {
            Box::new(move |message: &iothub::hub::Message, delivery: Delivery| {
                let message = Message::new(message.clone());
                // SAFETY: C's own function with C's own pointer; the message lives until it has returned.
                ack(unsafe { function(&raw const message, delivery.0, user_data.pointer()) })
            })
        }))
    })
}

/// Settles a message whose function returned IOTHUB_ACK_LATER; from any thread, at any time. Until then
/// the hub keeps it, and sends it again, with a new delivery number, after a reconnect.
///
/// IOTHUB_E_NOT_FOUND: it was settled already, or came on an earlier connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_ack(client: *mut Client, delivery: u64) -> StatusCode {
    boundary::call(|| {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.acknowledge(Delivery(delivery))
    })
}

/// How many operations are unfinished - messages, and the subscription of iothub_client_on_message until
/// the hub has answered it - and how many bytes they hold.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_queued(
    client: *const Client,
    messages: *mut usize,
    bytes: *mut usize,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them; the outputs are checked before they are written.
    boundary::call(|| unsafe {
        let client = handle::borrow("client", client)?;
        let (messages, bytes) = (handle::output("messages", messages)?, handle::output("bytes", bytes)?);
        let (waiting, held) = client.client.mqtt().queued();
        handle::write(messages, waiting);
        handle::write(bytes, held);
        Ok(())
    })
}
