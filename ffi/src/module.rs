//! Inputs of a module.

use std::ffi::{c_char, c_void};

use iothub::InputHandler;
use iothub::mqtt::Delivery;

use crate::boundary;
use crate::client::{self, AckCode, Client};
use crate::closure::{FreeFn, UserData};
use crate::handle;
use crate::message::Message;
use crate::status::StatusCode;
use crate::text::c_text;

/// A message on an input of this module: the name of the input, the message, both borrowed until this
/// returns, and its delivery number. Returns what iothub_message_fn returns.
pub type InputFn = Option<
    unsafe extern "C" fn(
        input: *const c_char,
        message: *const Message,
        delivery: u64,
        user_data: *mut c_void,
    ) -> AckCode,
>;

/// Calls fn for each message on an input of this module, in order, as iothub_client_on_message does for a
/// device. What a module sends to an output is telemetry with the field IOTHUB_OUTPUT_NAME.
///
/// IOTHUB_E_UNSUPPORTED: a device, which has no inputs. IOTHUB_E_CLOSED: the client was closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_on_input(
    client: *mut Client,
    r#fn: InputFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    boundary::call(move || {
        // SAFETY: a pointer as the header asks for it.
        let client = unsafe { handle::borrow("client", client) }?;
        client.client.on_input(r#fn.map(|function| -> InputHandler {
            Box::new(move |input: &str, message: &iothub::hub::Message, delivery: Delivery| {
                let (input, message) = (c_text(input), Message::new(message.clone()));
                let user_data = user_data.pointer();
                // SAFETY: C's own function with C's own pointer; name and message live until it has returned.
                client::ack(unsafe { function(input.as_ptr(), &raw const message, delivery.0, user_data) })
            })
        }))
    })
}
