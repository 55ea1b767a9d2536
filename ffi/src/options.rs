//! Options: each function is one setter of core's configuration.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use iothub::{Config, Result};

use crate::boundary;
use crate::handle;
use crate::manual::{IOTHUB_MODE_THREADED, ModeCode};
use crate::message::Message;
use crate::status::StatusCode;
use crate::text::{bytes, optional_text, text};

/// What a client is made from. One thread at a time may use it. A setter that fails changes nothing.
pub struct Options {
    pub(crate) config: Config,
    pub(crate) mode: ModeCode,
}

/// # Safety
/// `options` is NULL or a live handle that nobody else uses.
pub(crate) unsafe fn set(
    options: *mut Options,
    setter: impl FnOnce(&mut Config) -> Result<()>,
) -> StatusCode {
    // SAFETY: as promised by the caller.
    boundary::call(|| setter(&mut unsafe { handle::borrow_mut("options", options) }?.config))
}

fn ms(value: u32) -> Duration {
    Duration::from_millis(value.into())
}

/// Options with every default. Free them with iothub_options_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_new(out: *mut *mut Options) -> StatusCode {
    boundary::silence_panics();
    // SAFETY: a pointer as the header asks for it.
    boundary::call(|| unsafe {
        handle::give(out, || Ok(Options { config: Config::new(), mode: IOTHUB_MODE_THREADED }))
    })
}

/// Frees options, which clients made from them do not need any more; nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_free(options: *mut Options) {
    // SAFETY: a pointer as the header asks for it.
    boundary::value((), || unsafe { handle::take_back(options) });
}

/// Host, device, module, gateway and credential as the portal prints them: "HostName=...;DeviceId=...;
/// SharedAccessKey=...". With x509=true the certificate is given by iothub_options_set_x509.
///
/// IOTHUB_E_ARGUMENT names the part that is missing, unknown, given twice, empty or malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_connection_string(
    options: *mut Options,
    connection_string: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe {
        set(options, |config| config.set_connection_string(text("connection_string", connection_string)?))
    }
}

/// The hub's host name, the device, and the module or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_identity(
    options: *mut Options,
    host: *const c_char,
    device_id: *const c_char,
    module_id: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe {
        set(options, |config| {
            let (host, device_id) = (text("host", host)?, text("device_id", device_id)?);
            config.set_identity(host, device_id, optional_text("module_id", module_id)?)
        })
    }
}

/// The key of the device or module in base64. The library makes tokens of it and renews them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_sas_key(
    options: *mut Options,
    key_base64: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe { set(options, |config| config.set_sas_key(text("key_base64", key_base64)?)) }
}

/// A token that somebody else made, "SharedAccessSignature sr=...". It serves until it expires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_sas_token(
    options: *mut Options,
    token: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe { set(options, |config| config.set_sas_token(text("token", token)?)) }
}

/// How long a token that the library makes is good: 10 s to one year, default 3600 s. The connection is
/// made anew at 85 % of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_sas_life_s(options: *mut Options, seconds: u32) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.set_sas_life(Duration::from_secs(seconds.into()))) }
}

/// The device's certificate with its chain, and its key (PKCS#8, PKCS#1 or SEC1, not encrypted), both
/// PEM, instead of a key or token.
///
/// IOTHUB_E_ARGUMENT: one of them cannot be read, or they do not belong together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_x509(
    options: *mut Options,
    cert_pem: *const c_void,
    cert_len: usize,
    key_pem: *const c_void,
    key_len: usize,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe {
        set(options, |config| {
            config.set_x509(bytes("cert_pem", cert_pem, cert_len)?, bytes("key_pem", key_pem, key_len)?)
        })
    }
}

/// PEM certificates of the authorities that are trusted instead of all others. By default those of the
/// system and the built-in bundle of Mozilla's are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_trusted_roots(
    options: *mut Options,
    pem: *const c_void,
    len: usize,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe { set(options, |config| config.tuning.set_trusted_roots(bytes("pem", pem, len)?)) }
}

/// The host that is dialled, and whose certificate is checked, in place of the hub's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_gateway(
    options: *mut Options,
    host: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe { set(options, |config| config.set_gateway(text("host", host)?)) }
}

/// TCP port, 1 to 65535; by default 8883, or 443 with IOTHUB_TRANSPORT_WEBSOCKET.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_port(options: *mut Options, port: u16) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_port(port)) }
}

/// The longest silence before the hub is asked whether it lives: 1 to 1177 s, default 60 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_keep_alive_s(options: *mut Options, seconds: u32) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_keep_alive(seconds.into())) }
}

/// How long the hub may take to answer that: 1 to 600 s, default 30 s. It has to cover the upload of the
/// largest message. A dead connection is found within the keep-alive and this, or within the stall timeout
/// if that is later and bytes wait to go.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_ping_timeout_s(
    options: *mut Options,
    seconds: u32,
) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_ping_timeout(seconds.into())) }
}

/// The time for one attempt to connect, from the name lookup to the hub's answer: 1 ms to 600000 ms,
/// default 30000 ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_connect_timeout_ms(
    options: *mut Options,
    timeout_ms: u32,
) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_connect_timeout(ms(timeout_ms))) }
}

/// The wait before the second attempt to reconnect (the first is made at once), and the longest wait:
/// 10 ms to one hour, defaults 1000 and 120000 ms. Waits double, and are jittered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_backoff_ms(
    options: *mut Options,
    first_ms: u32,
    most_ms: u32,
) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_backoff(ms(first_ms), ms(most_ms))) }
}

/// The same for what a person has to cure, such as credentials, certificates and clocks: 10 ms to one
/// day, defaults 60000 and 600000 ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_slow_backoff_ms(
    options: *mut Options,
    first_ms: u32,
    most_ms: u32,
) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_slow_backoff(ms(first_ms), ms(most_ms))) }
}

/// What may wait for the hub: 1 to 65000 messages, default 1000, and 1 KiB to 1 GiB, default 16 MiB.
/// One more is refused with IOTHUB_E_FULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_queue_limits(
    options: *mut Options,
    messages: usize,
    bytes: usize,
) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_queue_limits(messages, bytes)) }
}

/// Messages that may be sent and not yet acknowledged: 1 to 65000, default 100.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_in_flight(options: *mut Options, messages: usize) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_in_flight(messages)) }
}

/// How long a message may wait for its acknowledgement before it is given up with IOTHUB_E_EXPIRED: up
/// to one year. 0, the default, is for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_time_to_live_ms(
    options: *mut Options,
    time_ms: u64,
) -> StatusCode {
    let time = (time_ms > 0).then(|| Duration::from_millis(time_ms));
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.tuning.set_time_to_live(time)) }
}

/// How long a request for the twin may take, with reconnects and the hub's own waits: 1 ms to 3600000 ms,
/// default 60000 ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_request_timeout_ms(
    options: *mut Options,
    timeout_ms: u32,
) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.set_request_timeout(ms(timeout_ms))) }
}

/// What the hub publishes as telemetry if the connection ends without a goodbye, at QoS 0 or 1. The
/// message is copied; its body has at most 65535 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_will(
    options: *mut Options,
    message: *const Message,
    qos: i32,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe {
        set(options, |config| {
            // What is no number of eight bits is no QoS either.
            let qos = u8::try_from(qos).unwrap_or(u8::MAX);
            config.set_will(&handle::borrow("message", message)?.message, qos)
        })
    }
}

/// The Plug and Play model of the device, "dtmi:...".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_model_id(
    options: *mut Options,
    dtmi: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe { set(options, |config| config.set_model_id(text("dtmi", dtmi)?)) }
}
