//! Status codes: their numbers, their names, and the text of a thread's last failure.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use iothub::{Error, ErrorKind};

use crate::text::c_text;

/// IOTHUB_OK or one of the negative codes below. The numbers are permanent: never changed, never used
/// again. Treat a negative number that you do not know as IOTHUB_E_INTERNAL.
pub type StatusCode = i32;

/// It went well.
pub const IOTHUB_OK: StatusCode = 0;
/// A bug in the library.
pub const IOTHUB_E_INTERNAL: StatusCode = -1;
/// NULL, not UTF-8, out of range; the detail names the argument and the rule.
pub const IOTHUB_E_ARGUMENT: StatusCode = -2;
/// The call is not allowed now.
pub const IOTHUB_E_STATE: StatusCode = -3;
/// The client was closed or freed.
pub const IOTHUB_E_CLOSED: StatusCode = -4;
/// This process is a child of the one that made the client.
pub const IOTHUB_E_FORKED: StatusCode = -5;
/// The queue is at its limit of messages or bytes; nothing was queued.
pub const IOTHUB_E_FULL: StatusCode = -6;
/// A deadline passed.
pub const IOTHUB_E_TIMEOUT: StatusCode = -7;
/// An unknown delivery, one that was acknowledged already, or one of an earlier connection.
pub const IOTHUB_E_NOT_FOUND: StatusCode = -8;
/// IoT Hub or this library does not offer it.
pub const IOTHUB_E_UNSUPPORTED: StatusCode = -9;
/// The message's time to live ended before the hub acknowledged it.
pub const IOTHUB_E_EXPIRED: StatusCode = -10;
/// The message was dropped by the queue's policy.
pub const IOTHUB_E_DROPPED: StatusCode = -11;
/// Name lookup, TCP or the connection; tried again soon.
pub const IOTHUB_E_NETWORK: StatusCode = -20;
/// A certificate or the TLS handshake; tried again slowly.
pub const IOTHUB_E_TLS: StatusCode = -21;
/// The hub refused the credentials; tried again slowly.
pub const IOTHUB_E_AUTH: StatusCode = -22;
/// The peer broke its protocol.
pub const IOTHUB_E_PROTOCOL: StatusCode = -23;
/// The hub asked to slow down.
pub const IOTHUB_E_THROTTLED: StatusCode = -30;
/// Larger than the hub takes: 256 KiB for a message with its properties.
pub const IOTHUB_E_TOO_LARGE: StatusCode = -31;
/// The hub's copy changed meanwhile.
pub const IOTHUB_E_PRECONDITION: StatusCode = -32;
/// Any other refusal by the hub; the detail has its number.
pub const IOTHUB_E_REJECTED: StatusCode = -33;

/// Every code with its name.
const NAMES: [(StatusCode, &CStr); 20] = [
    (IOTHUB_OK, c"IOTHUB_OK"),
    (IOTHUB_E_INTERNAL, c"IOTHUB_E_INTERNAL"),
    (IOTHUB_E_ARGUMENT, c"IOTHUB_E_ARGUMENT"),
    (IOTHUB_E_STATE, c"IOTHUB_E_STATE"),
    (IOTHUB_E_CLOSED, c"IOTHUB_E_CLOSED"),
    (IOTHUB_E_FORKED, c"IOTHUB_E_FORKED"),
    (IOTHUB_E_FULL, c"IOTHUB_E_FULL"),
    (IOTHUB_E_TIMEOUT, c"IOTHUB_E_TIMEOUT"),
    (IOTHUB_E_NOT_FOUND, c"IOTHUB_E_NOT_FOUND"),
    (IOTHUB_E_UNSUPPORTED, c"IOTHUB_E_UNSUPPORTED"),
    (IOTHUB_E_EXPIRED, c"IOTHUB_E_EXPIRED"),
    (IOTHUB_E_DROPPED, c"IOTHUB_E_DROPPED"),
    (IOTHUB_E_NETWORK, c"IOTHUB_E_NETWORK"),
    (IOTHUB_E_TLS, c"IOTHUB_E_TLS"),
    (IOTHUB_E_AUTH, c"IOTHUB_E_AUTH"),
    (IOTHUB_E_PROTOCOL, c"IOTHUB_E_PROTOCOL"),
    (IOTHUB_E_THROTTLED, c"IOTHUB_E_THROTTLED"),
    (IOTHUB_E_TOO_LARGE, c"IOTHUB_E_TOO_LARGE"),
    (IOTHUB_E_PRECONDITION, c"IOTHUB_E_PRECONDITION"),
    (IOTHUB_E_REJECTED, c"IOTHUB_E_REJECTED"),
];

/// The code of a kind of failure.
pub(crate) fn code(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Argument => IOTHUB_E_ARGUMENT,
        ErrorKind::State => IOTHUB_E_STATE,
        ErrorKind::Closed => IOTHUB_E_CLOSED,
        ErrorKind::Full => IOTHUB_E_FULL,
        ErrorKind::Timeout => IOTHUB_E_TIMEOUT,
        ErrorKind::NotFound => IOTHUB_E_NOT_FOUND,
        ErrorKind::Unsupported => IOTHUB_E_UNSUPPORTED,
        ErrorKind::Expired => IOTHUB_E_EXPIRED,
        ErrorKind::Dropped => IOTHUB_E_DROPPED,
        ErrorKind::Network => IOTHUB_E_NETWORK,
        ErrorKind::Tls => IOTHUB_E_TLS,
        ErrorKind::Auth => IOTHUB_E_AUTH,
        ErrorKind::Protocol => IOTHUB_E_PROTOCOL,
        ErrorKind::Throttled => IOTHUB_E_THROTTLED,
        ErrorKind::TooLarge => IOTHUB_E_TOO_LARGE,
        ErrorKind::Precondition => IOTHUB_E_PRECONDITION,
        ErrorKind::Rejected => IOTHUB_E_REJECTED,
        // A test holds this list against core's; a kind that is missing here is a bug of ours.
        _ => IOTHUB_E_INTERNAL,
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Keeps `detail` for [`iothub_last_error`].
pub(crate) fn remember(detail: &str) {
    let detail = c_text(detail);
    // Fails in a destructor of a thread that ends, where nobody asks any more.
    let _ = LAST.try_with(|last| drop(last.replace(detail)));
}

pub(crate) fn report(error: &Error) -> StatusCode {
    remember(error.detail());
    code(error.kind())
}

/// The name of a status code, such as "IOTHUB_E_AUTH"; "IOTHUB_E_UNKNOWN" for a number that is none.
/// Never NULL; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn iothub_status_name(status: StatusCode) -> *const c_char {
    let name = NAMES.iter().find(|(code, _)| *code == status);
    name.map_or(c"IOTHUB_E_UNKNOWN", |(_, name)| *name).as_ptr()
}

/// The detail of the last call on this thread that returned an error: a sentence for people that names
/// the argument or the peer and the rule. Never NULL, empty when no call has failed; valid until the
/// next call on this thread fails. It never holds a key, a token or a payload. What `done` and the
/// status callback are told is not found here: they get their detail as an argument.
#[unsafe(no_mangle)]
pub extern "C" fn iothub_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(status: StatusCode) -> &'static str {
        // SAFETY: the function returns a static text.
        unsafe { CStr::from_ptr(iothub_status_name(status)) }.to_str().unwrap()
    }

    fn kinds() -> Vec<(ErrorKind, String)> {
        use ErrorKind::*;
        let kinds = [
            Internal,
            Argument,
            State,
            Closed,
            Full,
            Timeout,
            NotFound,
            Unsupported,
            Expired,
            Dropped,
            Network,
            Tls,
            Auth,
            Protocol,
            Throttled,
            TooLarge,
            Precondition,
            Rejected,
        ];
        kinds.map(|kind| (kind, format!("{kind:?}"))).to_vec()
    }

    /// The enum is open to additions, so the compiler does not see one that was forgotten here.
    #[test]
    fn the_list_of_kinds_is_that_of_core() {
        let source = include_str!("../../core/src/error.rs");
        let body = source.split("pub enum ErrorKind {").nth(1).unwrap().split("\n}").next().unwrap();
        let variants = body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        let variants: Vec<_> = variants.map(|line| line.trim_end_matches(',').to_owned()).collect();
        let known: Vec<_> = kinds().into_iter().map(|(_, name)| name).collect();
        assert_eq!(variants, known);
    }

    #[test]
    fn every_kind_has_a_code_of_its_own_and_its_name() {
        let mut seen = std::collections::BTreeSet::new();
        for (kind, name) in kinds() {
            let mut expected = "IOTHUB_E".to_owned();
            for letter in name.chars() {
                if letter.is_uppercase() {
                    expected.push('_');
                }
                expected.push(letter.to_ascii_uppercase());
            }
            assert!(seen.insert(code(kind)), "{kind:?} shares its code");
            assert_eq!(name_of(code(kind)), expected);
        }
    }

    #[test]
    fn numbers_are_permanent() {
        let numbers = NAMES.map(|(number, _)| number);
        let expected =
            [0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -20, -21, -22, -23, -30, -31, -32, -33];
        assert_eq!(numbers, expected);
        assert_eq!(name_of(-5), "IOTHUB_E_FORKED");
        assert_eq!(name_of(1), "IOTHUB_E_UNKNOWN");
    }
}
