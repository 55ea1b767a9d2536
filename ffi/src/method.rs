//! Direct methods.

use std::ffi::{c_char, c_void};

use iothub::hub::{Method, MethodRequest};
use iothub::{Error, MethodHandler};

use crate::boundary;
use crate::client::Client;
use crate::closure::{FreeFn, UserData};
use crate::handle;
use crate::status::StatusCode;
use crate::text::{bytes, c_text};

/// A call of a direct method: its name, as it was sent ("component*command" for a command of a
/// component), its JSON, which may be empty, and the number to answer it with. Name and JSON are borrowed
/// until this returns; json is not NUL-terminated.
pub type MethodFn = Option<
    unsafe extern "C" fn(
        name: *const c_char,
        json: *const c_void,
        len: usize,
        request: u64,
        user_data: *mut c_void,
    ),
>;

/// Calls fn for each direct method, in place of the function before, as iothub_client_on_status does. The
/// first call subscribes. Answer each with iothub_client_respond, inside fn or later. With NULL methods
/// are answered with status 404.
///
/// IOTHUB_E_CLOSED: the client was closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_on_method(
    client: *mut Client,
    r#fn: MethodFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    boundary::call(move || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.on_method(r#fn.map(|function| -> MethodHandler {
            Box::new(move |method: &Method| {
                let name = c_text(&method.name);
                let (json, len) = (method.body.as_ptr().cast(), method.body.len());
                // SAFETY: C's own function with C's own pointer; name and JSON live until it has returned.
                unsafe { function(name.as_ptr(), json, len, method.request.0, user_data.pointer()) };
            })
        }))
    })
}

/// Answers a direct method, once: a status as in HTTP, 0 to 65535, and JSON of at most 128 KiB, or
/// nothing (NULL, 0). From any thread, at any time within 300 s, after which nobody waits; an answer given
/// while the connection is away is sent on the next. The JSON is copied.
///
/// IOTHUB_E_NOT_FOUND: answered already, unknown, or too late. IOTHUB_E_ARGUMENT: no JSON; the call may
/// still be answered. IOTHUB_E_TOO_LARGE: likewise. IOTHUB_E_FULL: 1000 answers wait for the network.
/// IOTHUB_E_CLOSED: the client was closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_respond(
    client: *mut Client,
    request: u64,
    status: i32,
    json: *const c_void,
    len: usize,
) -> StatusCode {
    boundary::call(|| {
        // SAFETY: pointers as the header asks for them.
        let (client, json) = unsafe { (handle::borrow("client", client)?, bytes("json", json, len)?) };
        let status = u16::try_from(status)
            .map_err(|_| Error::argument("status", format_args!("{status} is not in 0..=65535")))?;
        client.client.respond(MethodRequest(request), status, json)
    })
}
