//! Messages in either direction.

use std::ffi::{CString, c_char, c_void};
use std::sync::OnceLock;

use iothub::hub::SystemProperty;
use iothub::{Error, ErrorKind, Result};

use crate::boundary;
use crate::handle;
use crate::status::StatusCode;
use crate::text::{bytes, c_text, text};

/// A message: a body, fields that IoT Hub gives a meaning, and properties of the application.
///
/// One thread at a time may change it; several may read it.
pub struct Message {
    pub(crate) message: iothub::hub::Message,
    texts: OnceLock<Texts>,
}

/// What getters return: texts that end in NUL, made when the first is asked for.
struct Texts {
    fields: Vec<(Field, CString)>,
    properties: Vec<(CString, Option<CString>)>,
}

impl Message {
    pub(crate) fn new(message: iothub::hub::Message) -> Self {
        Self { message, texts: OnceLock::new() }
    }

    fn texts(&self) -> &Texts {
        self.texts.get_or_init(|| {
            let field = |&(field, property): &(Field, SystemProperty)| {
                self.message.system(property).map(|value| (field, c_text(value)))
            };
            let property = |(name, value): (&str, Option<&str>)| (c_text(name), value.map(c_text));
            Texts {
                fields: FIELDS.iter().filter_map(field).collect(),
                properties: self.message.properties().map(property).collect(),
            }
        })
    }
}

/// A field of a message.
pub type Field = i32;

/// Up to 128 ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '
pub const IOTHUB_MESSAGE_ID: Field = 0;
/// Relates an answer to its question.
pub const IOTHUB_CORRELATION_ID: Field = 1;
/// Such as "application/json"; routing reads the body as JSON only with this and an encoding.
pub const IOTHUB_CONTENT_TYPE: Field = 2;
/// Such as "utf-8".
pub const IOTHUB_CONTENT_ENCODING: Field = 3;
/// The output that a module's message leaves by. Modules only.
pub const IOTHUB_OUTPUT_NAME: Field = 4;
/// The Plug and Play component that the message is of.
pub const IOTHUB_COMPONENT: Field = 5;
/// When the message was made: ISO 8601, UTC.
pub const IOTHUB_CREATION_TIME: Field = 6;
/// Who the message is from.
pub const IOTHUB_USER_ID: Field = 7;
/// Set by the hub on what it delivers: the address of the device.
pub const IOTHUB_TO: Field = 8;
/// When the message expires: ISO 8601, UTC.
pub const IOTHUB_EXPIRY: Field = 9;
/// "urn:azureiot:Security:SecurityAgent:1" marks a security message.
pub const IOTHUB_INTERFACE_ID: Field = 10;

const FIELDS: [(Field, SystemProperty); 11] = [
    (IOTHUB_MESSAGE_ID, SystemProperty::MessageId),
    (IOTHUB_CORRELATION_ID, SystemProperty::CorrelationId),
    (IOTHUB_CONTENT_TYPE, SystemProperty::ContentType),
    (IOTHUB_CONTENT_ENCODING, SystemProperty::ContentEncoding),
    (IOTHUB_OUTPUT_NAME, SystemProperty::OutputName),
    (IOTHUB_COMPONENT, SystemProperty::Component),
    (IOTHUB_CREATION_TIME, SystemProperty::CreationTime),
    (IOTHUB_USER_ID, SystemProperty::UserId),
    (IOTHUB_TO, SystemProperty::To),
    (IOTHUB_EXPIRY, SystemProperty::Expiry),
    (IOTHUB_INTERFACE_ID, SystemProperty::InterfaceId),
];

/// A message with a copy of the len bytes at data. Free it with iothub_message_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_new(
    data: *const c_void,
    len: usize,
    out: *mut *mut Message,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    boundary::call(|| unsafe {
        handle::give(out, || Ok(Message::new(iothub::hub::Message::new(bytes("data", data, len)?.to_vec()))))
    })
}

/// Frees a message that iothub_message_new made; nothing for NULL. Not for the message that a callback
/// was given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_free(message: *mut Message) {
    // SAFETY: a pointer as the header asks for it.
    boundary::value((), || unsafe { handle::take_back(message) });
}

/// Sets one of IOTHUB_MESSAGE_ID ... IOTHUB_INTERFACE_ID, in place of an earlier value.
///
/// IOTHUB_E_ARGUMENT: an unknown field, or a value that is empty or breaks the field's rule.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_set_field(
    message: *mut Message,
    field: Field,
    value: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    boundary::call(|| unsafe {
        let message = handle::borrow_mut("message", message)?;
        let known = FIELDS.iter().find(|(known, _)| *known == field);
        let (_, property) =
            known.ok_or_else(|| Error::argument("field", format_args!("{field} is no field")))?;
        message.message.set_system(*property, text("value", value)?)?;
        message.texts.take();
        Ok(())
    })
}

/// Sets a property of the application, in place of an earlier value; the order in which names were
/// first set is kept. A value of NULL is a property without a value, which is not the empty text.
///
/// IOTHUB_E_ARGUMENT: the name is empty, begins with '$', or is one that IoT Hub writes itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_set_property(
    message: *mut Message,
    name: *const c_char,
    value: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    boundary::call(|| unsafe {
        let message = handle::borrow_mut("message", message)?;
        let value = crate::text::optional_text("value", value)?;
        message.message.set_property(text("name", name)?, value)?;
        message.texts.take();
        Ok(())
    })
}

/// The body; its length is written to len, if that is not NULL. Borrowed: valid until the message is
/// freed or, in a callback, until that returns. NULL, and a length of 0, only where message is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_data(message: *const Message, len: *mut usize) -> *const c_void {
    let body = boundary::value(None, || {
        // SAFETY: a pointer as the header asks for it.
        unsafe { message.as_ref() }.map(|message| message.message.body())
    });
    if !len.is_null() {
        // SAFETY: not NULL, so writable, as the header asks for it.
        unsafe { handle::write(len, body.map_or(0, |body| body.len())) };
    }
    body.map_or(std::ptr::null(), |body| body.as_ptr().cast())
}

/// A field's text; NULL where it is absent, unknown, or message is NULL. Borrowed: valid until the
/// message is changed or freed or, in a callback, until that returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_field(message: *const Message, field: Field) -> *const c_char {
    boundary::value(std::ptr::null(), || {
        // SAFETY: a pointer as the header asks for it.
        let Some(message) = (unsafe { message.as_ref() }) else { return std::ptr::null() };
        let found = message.texts().fields.iter().find(|(known, _)| *known == field);
        found.map_or(std::ptr::null(), |(_, value)| value.as_ptr())
    })
}

/// The text of a property; NULL where it is absent, has no value, or an argument is NULL. Borrowed as
/// with iothub_message_field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_property(
    message: *const Message,
    name: *const c_char,
) -> *const c_char {
    boundary::value(std::ptr::null(), || {
        // SAFETY: pointers as the header asks for them.
        let (message, name) = unsafe { (message.as_ref(), text("name", name)) };
        let (Some(message), Ok(name)) = (message, name) else { return std::ptr::null() };
        let mut properties = message.texts().properties.iter();
        let found = properties.find(|(known, _)| known.to_bytes() == name.as_bytes());
        found.and_then(|(_, value)| value.as_ref()).map_or(std::ptr::null(), |value| value.as_ptr())
    })
}

/// How many properties there are; 0 where message is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_property_count(message: *const Message) -> usize {
    // SAFETY: a pointer as the header asks for it.
    boundary::value(0, || unsafe { message.as_ref() }.map_or(0, |message| message.message.properties().len()))
}

/// Name and value of the property with this index, from 0, in the order in which they were set. value
/// is NULL for a property without a value. Both are borrowed as with iothub_message_field.
///
/// IOTHUB_E_NOT_FOUND: there are not so many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_message_property_at(
    message: *const Message,
    index: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them; the outputs are checked before they are written.
    boundary::call(|| unsafe {
        let message = handle::borrow("message", message)?;
        let (name, value) = (handle::output("name", name)?, handle::output("value", value)?);
        let (found_name, found_value) = property_at(message, index)?;
        handle::write(name, found_name.as_ptr());
        handle::write(value, found_value.as_ref().map_or(std::ptr::null(), |value| value.as_ptr()));
        Ok(())
    })
}

fn property_at(message: &Message, index: usize) -> Result<&(CString, Option<CString>)> {
    let properties = &message.texts().properties;
    properties.get(index).ok_or_else(|| {
        let detail = format!("index: {index} is beyond the {} properties", properties.len());
        Error::new(ErrorKind::NotFound, detail)
    })
}
