//! The twin.

use std::ffi::{c_char, c_void};

use iothub::DesiredHandler;
use iothub::hub::Desired;

use crate::boundary;
use crate::client::Client;
use crate::closure::{Closure, FreeFn, UserData};
use crate::handle;
use crate::status::StatusCode;
use crate::text::bytes;

/// The twin, or why there is none. json is {"desired":{...},"reported":{...}}, each with its "$version",
/// borrowed until this returns and not NUL-terminated; of length 0 unless status is IOTHUB_OK.
pub type TwinFn = Option<
    unsafe extern "C" fn(
        status: StatusCode,
        detail: *const c_char,
        json: *const c_void,
        len: usize,
        user_data: *mut c_void,
    ),
>;

/// How a report ended. version is that of the reported properties with it, 0 where the hub did not tell it
/// or status is not IOTHUB_OK.
pub type PatchFn = Option<
    unsafe extern "C" fn(status: StatusCode, detail: *const c_char, version: u64, user_data: *mut c_void),
>;

/// A change of the desired properties, as a JSON merge patch (null: deleted) without "$version", and the
/// version that they have with it. json is borrowed until this returns and not NUL-terminated.
pub type DesiredFn =
    Option<unsafe extern "C" fn(json: *const c_void, len: usize, version: u64, user_data: *mut c_void)>;

/// Asks for the twin. Works while disconnected; asked again after a reconnect and when the hub asks to
/// wait, for as long as iothub_options_set_request_timeout_ms says. done: IOTHUB_E_TIMEOUT where that is
/// over; IOTHUB_E_THROTTLED where the hub asked to wait until then; IOTHUB_E_REJECTED with the hub's number
/// and words; IOTHUB_E_CLOSED.
///
/// IOTHUB_E_FULL: 1000 requests wait. IOTHUB_E_CLOSED: the client was closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_twin_get(
    client: *mut Client,
    done: TwinFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let done = Closure::<TwinFn>::new(done, user_data, free_fn);
    boundary::call(move || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.twin_get_with(done.into_completion())
    })
}

/// Reports properties: a JSON object that is merged into those reported before; null deletes. Reports
/// reach the hub in the order of the calls; one whose answer a reconnect took is sent again. The JSON is
/// copied. done: as for iothub_client_twin_get, also IOTHUB_E_TOO_LARGE and IOTHUB_E_PRECONDITION, and
/// IOTHUB_E_NETWORK for a report whose answer was lost after a later one had been answered.
///
/// IOTHUB_E_ARGUMENT: no JSON object. IOTHUB_E_FULL: 1000 requests wait. IOTHUB_E_CLOSED: the client was
/// closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_twin_patch(
    client: *mut Client,
    json: *const c_void,
    len: usize,
    done: PatchFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let done = Closure::<PatchFn>::new(done, user_data, free_fn);
    boundary::call(move || {
        // SAFETY: pointers as the header asks for them.
        let (client, json) = unsafe { (handle::borrow("client", client)?, bytes("json", json, len)?) };
        client.client.twin_patch_with(json, done.into_completion())
    })
}

/// Calls fn first with all desired properties (the patch that makes them of {}), then with each change of
/// them, once, also with what was changed while there was no connection; in place of the function before,
/// as iothub_client_on_status does. A function that replaces another is told what changes from then on.
/// NULL ends that. The version falls where the device was deleted and made anew, or a local hub restarted.
///
/// IOTHUB_E_CLOSED: the client was closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_on_desired(
    client: *mut Client,
    r#fn: DesiredFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    boundary::call(move || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.on_desired(r#fn.map(|function| -> DesiredHandler {
            Box::new(move |desired: &Desired| {
                let (json, len) = (desired.patch.as_ptr().cast(), desired.patch.len());
                // SAFETY: C's own function with C's own pointer; the JSON lives until it has returned.
                unsafe { function(json, len, desired.version, user_data.pointer()) };
            })
        }))
    })
}
