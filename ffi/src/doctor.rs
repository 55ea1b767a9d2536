//! The doctor.

use std::ffi::{CStr, c_char, c_void};

use iothub::{Check, Verdict};

use crate::boundary;
use crate::handle;
use crate::options::Options;
use crate::status::{IOTHUB_OK, StatusCode, code};
use crate::text::c_text;

/// What iothub_doctor checks. They are made in the order OPTIONS, CLOCK, NAME, PROXY, TCP, TLS,
/// WEBSOCKET, CREDENTIALS.
pub type CheckCode = i32;

/// Identity and credential are given; the certificate of the device can be read and is good today.
pub const IOTHUB_CHECK_OPTIONS: CheckCode = 0;
/// The host has addresses.
pub const IOTHUB_CHECK_NAME: CheckCode = 1;
/// The proxy can be reached and opens a tunnel.
pub const IOTHUB_CHECK_PROXY: CheckCode = 2;
/// A connection to the host can be made.
pub const IOTHUB_CHECK_TCP: CheckCode = 3;
/// The host shows a certificate that is trusted, good today, and for its name.
pub const IOTHUB_CHECK_TLS: CheckCode = 4;
/// The clock of this machine was set.
pub const IOTHUB_CHECK_CLOCK: CheckCode = 5;
/// The host takes MQTT in a WebSocket.
pub const IOTHUB_CHECK_WEBSOCKET: CheckCode = 6;
/// The hub lets the device in.
pub const IOTHUB_CHECK_CREDENTIALS: CheckCode = 7;

const NAMES: [&CStr; 8] =
    [c"options", c"name", c"proxy", c"tcp", c"tls", c"clock", c"websocket", c"credentials"];

/// How a check ended. More may come with later versions.
pub type VerdictCode = i32;

/// All is well.
pub const IOTHUB_VERDICT_PASSED: VerdictCode = 0;
/// Something is wrong; the status says of which kind, and the detail what to do.
pub const IOTHUB_VERDICT_FAILED: VerdictCode = 1;
/// The options do without what is checked.
pub const IOTHUB_VERDICT_NOT_NEEDED: VerdictCode = 2;
/// It depends on a check that failed.
pub const IOTHUB_VERDICT_NOT_DONE: VerdictCode = 3;

/// What a check has found: status is IOTHUB_OK but for IOTHUB_VERDICT_FAILED, and detail is a text for
/// people in any case, valid until this returns. It never holds a key, a token or a password.
pub type CheckFn = Option<
    unsafe extern "C" fn(
        check: CheckCode,
        verdict: VerdictCode,
        status: StatusCode,
        detail: *const c_char,
        user_data: *mut c_void,
    ),
>;

fn number(check: Check) -> CheckCode {
    match check {
        Check::Options => IOTHUB_CHECK_OPTIONS,
        Check::Name => IOTHUB_CHECK_NAME,
        Check::Proxy => IOTHUB_CHECK_PROXY,
        Check::Tcp => IOTHUB_CHECK_TCP,
        Check::Tls => IOTHUB_CHECK_TLS,
        Check::Clock => IOTHUB_CHECK_CLOCK,
        Check::WebSocket => IOTHUB_CHECK_WEBSOCKET,
        Check::Credentials => IOTHUB_CHECK_CREDENTIALS,
        // A test holds the names against core's; a check that is missing here is a bug of ours.
        _ => -1,
    }
}

/// The name of a check, such as "tls"; "unknown" for a number that is none. Never NULL; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn iothub_check_name(check: CheckCode) -> *const c_char {
    let name = usize::try_from(check).ok().and_then(|number| NAMES.get(number));
    name.copied().unwrap_or(c"unknown").as_ptr()
}

/// Goes the way to the hub once, as a client with these options would, and calls fn with what it finds:
/// each check, once, in the order of iothub_check_t. Returns the first failure; fn may be NULL where that
/// is enough.
///
/// Blocks; each step may take the connect timeout of the options. fn runs on the calling thread, before
/// this returns, and may call anything, also change or free the options, of which a copy was made. Inside
/// a callback of a client this delays its other callbacks. The callbacks that the options have for
/// credentials run on a thread of the library, perhaps beside those of a client with the same options; one
/// that hangs is left behind and keeps its user_data.
///
/// The last check is a real connection with the identity of the options: IoT Hub has one connection for
/// each, so that of a client that runs ends, and the client connects again. Its session at the hub is kept;
/// nothing is sent or subscribed to, and the will is left out. What the hub sends meanwhile comes again
/// after its lock of a minute; a direct method that is called at that moment is lost. Where a port or a
/// certificate is refused, a second connection finds out why.
///
/// IOTHUB_E_ARGUMENT: an option is missing or contradicts another. IOTHUB_E_NETWORK: name, proxy or TCP.
/// IOTHUB_E_TLS: a certificate. IOTHUB_E_AUTH: the clock, or the hub refused the credentials.
/// IOTHUB_E_PROTOCOL: the peer is no IoT Hub.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_doctor(
    options: *const Options,
    r#fn: CheckFn,
    user_data: *mut c_void,
) -> StatusCode {
    boundary::silence_panics();
    boundary::call(|| {
        // SAFETY: a pointer as the header asks for it. It is copied before C is called, and not used then.
        let config = unsafe { handle::borrow("options", options) }?.config.clone();
        iothub::doctor(&config, &mut |finding| {
            let Some(function) = r#fn else { return };
            let (verdict, status) = match finding.verdict {
                Verdict::Passed => (IOTHUB_VERDICT_PASSED, IOTHUB_OK),
                Verdict::Failed(kind) => (IOTHUB_VERDICT_FAILED, code(kind)),
                Verdict::NotNeeded => (IOTHUB_VERDICT_NOT_NEEDED, IOTHUB_OK),
                _ => (IOTHUB_VERDICT_NOT_DONE, IOTHUB_OK),
            };
            let detail = c_text(&finding.detail);
            // SAFETY: C's own function with C's own pointer; the text lives until it has returned.
            unsafe { function(number(finding.check), verdict, status, detail.as_ptr(), user_data) };
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_number_and_the_name_of_core() {
        assert_eq!(Check::ALL.len(), NAMES.len());
        let mut numbers: Vec<_> = Check::ALL.map(number).to_vec();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>());
        for check in Check::ALL {
            // SAFETY: the function returns a static text.
            let name = unsafe { CStr::from_ptr(iothub_check_name(number(check))) };
            assert_eq!(name.to_str().unwrap(), check.name());
        }
        for none in [-1, 8, i32::MAX] {
            // SAFETY: the function returns a static text.
            let name = unsafe { CStr::from_ptr(iothub_check_name(none)) };
            assert_eq!(name.to_str().unwrap(), "unknown");
        }
    }
}
