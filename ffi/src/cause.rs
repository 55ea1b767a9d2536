//! Why a connection ended or could not be made, as a number.

use std::ffi::{CStr, c_char};

use iothub::io::Cause;

/// Why a connection ended or could not be made: 0 or one of the numbers below, which are permanent.
/// Expect new ones.
pub type CauseCode = i32;

/// Nothing went wrong.
pub const IOTHUB_CAUSE_NONE: CauseCode = 0;
/// The host name has no address, or the name service gave no answer.
pub const IOTHUB_CAUSE_DNS: CauseCode = 1;
/// Nothing listens on the port.
pub const IOTHUB_CAUSE_CONNECTION_REFUSED: CauseCode = 2;
/// No route, network down, or a firewall that says so.
pub const IOTHUB_CAUSE_UNREACHABLE: CauseCode = 3;
/// No answer in time while connecting.
pub const IOTHUB_CAUSE_CONNECT_TIMEOUT: CauseCode = 4;
/// The connection broke.
pub const IOTHUB_CAUSE_CONNECTION_RESET: CauseCode = 5;
/// Any other failure of a socket.
pub const IOTHUB_CAUSE_NETWORK: CauseCode = 6;
/// The server's certificate is not issued by a trusted root.
pub const IOTHUB_CAUSE_TLS_UNTRUSTED: CauseCode = 7;
/// The server's certificate has expired, or the clock of this machine is ahead.
pub const IOTHUB_CAUSE_TLS_EXPIRED: CauseCode = 8;
/// The server's certificate is for another name.
pub const IOTHUB_CAUSE_TLS_NAME: CauseCode = 9;
/// Any other failure of TLS.
pub const IOTHUB_CAUSE_TLS: CauseCode = 10;
/// The proxy refused.
pub const IOTHUB_CAUSE_PROXY: CauseCode = 11;
/// The hub refused the credentials.
pub const IOTHUB_CAUSE_AUTHENTICATION: CauseCode = 12;
/// The clock of this machine is wrong.
pub const IOTHUB_CAUSE_CLOCK: CauseCode = 13;
/// Another program seems to connect with the same identity: the hub has ended several connections in a
/// row soon after it had accepted them, and without a reason. Tried again slowly.
pub const IOTHUB_CAUSE_TAKEN_OVER: CauseCode = 14;
/// The hub was silent for longer than the keep-alive allows.
pub const IOTHUB_CAUSE_KEEP_ALIVE: CauseCode = 15;
/// The hub broke MQTT.
pub const IOTHUB_CAUSE_PROTOCOL: CauseCode = 16;
/// The hub asked to slow down.
pub const IOTHUB_CAUSE_THROTTLED: CauseCode = 17;
/// The hub closed the connection and gave no reason.
pub const IOTHUB_CAUSE_CLOSED_BY_HUB: CauseCode = 18;
/// The library reconnects with fresh credentials; no failure, its status is IOTHUB_OK.
pub const IOTHUB_CAUSE_RENEWED: CauseCode = 19;
/// The application closed the client.
pub const IOTHUB_CAUSE_CLOSED_BY_US: CauseCode = 20;
/// The configuration contradicts itself; the only failure that is never tried again.
pub const IOTHUB_CAUSE_CONFIGURATION: CauseCode = 21;

const NAMES: [&CStr; 22] = [
    c"none",
    c"dns",
    c"connection_refused",
    c"unreachable",
    c"connect_timeout",
    c"connection_reset",
    c"network",
    c"tls_untrusted",
    c"tls_expired",
    c"tls_name",
    c"tls",
    c"proxy",
    c"authentication",
    c"clock",
    c"taken_over",
    c"keep_alive",
    c"protocol",
    c"throttled",
    c"closed_by_hub",
    c"renewed",
    c"closed_by_us",
    c"configuration",
];

pub(crate) fn number(cause: Option<Cause>) -> CauseCode {
    cause.map_or(IOTHUB_CAUSE_NONE, Cause::number)
}

/// The name of a cause, such as "tls_untrusted"; "none" for 0, "unknown" for a number that is none.
/// Never NULL; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn iothub_cause_name(cause: CauseCode) -> *const c_char {
    let name = usize::try_from(cause).ok().and_then(|number| NAMES.get(number));
    name.copied().unwrap_or(c"unknown").as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_those_of_core() {
        assert_eq!(NAMES.len(), Cause::ALL.len() + 1);
        for cause in Cause::ALL {
            // SAFETY: the function returns a static text.
            let name = unsafe { CStr::from_ptr(iothub_cause_name(cause.number())) };
            assert_eq!(name.to_str().unwrap(), cause.name());
        }
    }

    #[test]
    fn every_constant_is_the_number_of_its_name() {
        let source = include_str!("cause.rs");
        let constants = source.lines().filter_map(|line| line.strip_prefix("pub const IOTHUB_CAUSE_"));
        let mut count = 0;
        for constant in constants {
            let (name, number) = constant.trim_end_matches(';').split_once(": CauseCode = ").unwrap();
            let number: usize = number.parse().unwrap();
            assert_eq!(NAMES[number].to_str().unwrap(), name.to_lowercase());
            count += 1;
        }
        assert_eq!(count, NAMES.len());
    }
}
