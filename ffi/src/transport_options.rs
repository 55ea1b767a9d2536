//! Options of the way to the hub: transport, proxy, local address and interface.

use std::ffi::c_char;

use iothub::{Error, Transport};

use crate::options::{Options, set};
use crate::status::StatusCode;
use crate::text::{optional_text, text};

/// What carries MQTT.
pub type TransportCode = i32;

/// MQTT over TLS, on port 8883 unless iothub_options_set_port says another.
pub const IOTHUB_TRANSPORT_MQTT: TransportCode = 0;
/// MQTT in a WebSocket over TLS, on port 443 unless iothub_options_set_port says another.
pub const IOTHUB_TRANSPORT_WEBSOCKET: TransportCode = 1;

/// What carries MQTT; default IOTHUB_TRANSPORT_MQTT.
///
/// IOTHUB_E_ARGUMENT: none of the IOTHUB_TRANSPORT_ numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_transport(
    options: *mut Options,
    transport: TransportCode,
) -> StatusCode {
    let known = match transport {
        IOTHUB_TRANSPORT_MQTT => Ok(Transport::Mqtt),
        IOTHUB_TRANSPORT_WEBSOCKET => Ok(Transport::WebSocket),
        _ => Err(Error::argument("transport", format_args!("{transport} is no IOTHUB_TRANSPORT_ number"))),
    };
    // SAFETY: a pointer as the header asks for it.
    unsafe {
        set(options, |config| {
            config.tuning.set_transport(known?);
            Ok(())
        })
    }
}

/// An HTTP proxy that is asked to CONNECT: "http://[user[:password]@]host[:port]", port 80 unless given,
/// user and password percent-encoded and sent to it in clear (Basic authentication). It resolves the
/// hub's name. NULL, the default: no proxy.
///
/// IOTHUB_E_UNSUPPORTED: an https:// or SOCKS proxy. IOTHUB_E_ARGUMENT: no such URL. Neither text repeats
/// it. What the proxy refuses later has the cause IOTHUB_CAUSE_PROXY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_proxy(options: *mut Options, url: *const c_char) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe { set(options, |config| config.tuning.set_proxy(optional_text("url", url)?)) }
}

/// The proxy that the environment names, as curl reads it: https_proxy, else all_proxy, and no_proxy with
/// names (each standing for all below it), addresses, ranges such as 10.0.0.0/8, or "*"; each also in upper
/// case, the lower-case form first. Without such a variable: no proxy. They are read at this call, which
/// must not run beside setenv().
///
/// IOTHUB_E_UNSUPPORTED and IOTHUB_E_ARGUMENT as for iothub_options_set_proxy, with the variable named.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_proxy_from_environment(options: *mut Options) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_proxy_from_environment()) }
}

/// The address of this machine to connect from, an IPv4 or IPv6 literal. Addresses of the hub of the other
/// family are not tried. By default the system chooses.
///
/// IOTHUB_E_ARGUMENT: no address, or one that no interface has alone, such as 0.0.0.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_local_address(
    options: *mut Options,
    address: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe { set(options, |config| config.tuning.set_local_address(text("address", address)?)) }
}

/// The interface to connect through, 1 to 15 bytes as in "ip link" (SO_BINDTODEVICE). A process without
/// CAP_NET_RAW needs Linux 5.7; that it is missing shows when connecting. Name lookups go their own way.
/// By default the routes decide.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_interface(
    options: *mut Options,
    name: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe { set(options, |config| config.tuning.set_interface(text("name", name)?)) }
}

/// How long the network may take no byte while some wait to go: 1 to 600 s, default 30 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_stall_timeout_s(
    options: *mut Options,
    seconds: u32,
) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_stall_timeout(seconds.into())) }
}
