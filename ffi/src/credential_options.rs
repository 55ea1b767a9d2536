//! Options: credentials that come from callbacks, files and IoT Edge.

use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use iothub::{Error, ErrorKind, Result};

use crate::closure::{FreeFn, UserData};
use crate::options::{Options, set};
use crate::status::{IOTHUB_OK, StatusCode, iothub_status_name};
use crate::text::{bytes, text};

/// The room that a callback has for a signature, in bytes.
pub const IOTHUB_MAX_SIGNATURE: i32 = 1024;
/// The room that a callback has for a token, in bytes.
pub const IOTHUB_MAX_TOKEN: i32 = 4096;

/// Signs len bytes at data with HMAC-SHA256 and the key of the device or module: writes the 32 bytes of
/// it to sig, not encoded. *sig_len is the room there (IOTHUB_MAX_SIGNATURE), and becomes what was
/// written. Any other status than IOTHUB_OK says that it could not.
pub type SignFn = Option<
    unsafe extern "C" fn(
        data: *const u8,
        len: usize,
        sig: *mut u8,
        sig_len: *mut usize,
        user_data: *mut c_void,
    ) -> StatusCode,
>;

/// Writes a token that is good now, "SharedAccessSignature sr=...", to token. *token_len is the room there
/// (IOTHUB_MAX_TOKEN), and becomes the length of the token; a NUL behind it does not count. Any other
/// status than IOTHUB_OK says that there is none.
pub type TokenFn = Option<
    unsafe extern "C" fn(token: *mut c_char, token_len: *mut usize, user_data: *mut c_void) -> StatusCode,
>;

/// Signs len bytes at data, which are not hashed yet, by scheme, a SignatureScheme of TLS (RFC 8446,
/// 4.2.3), as TLS carries it (ECDSA in DER). *sig_len is the room at sig (IOTHUB_MAX_SIGNATURE), and
/// becomes what was written. Any other status than IOTHUB_OK says that it could not.
pub type TlsSignFn = Option<
    unsafe extern "C" fn(
        scheme: i32,
        data: *const u8,
        len: usize,
        sig: *mut u8,
        sig_len: *mut usize,
        user_data: *mut c_void,
    ) -> StatusCode,
>;

fn there<T>(function: Option<T>) -> Result<T> {
    function.ok_or_else(|| Error::argument("fn", "must not be NULL"))
}

/// What `fill` writes to a buffer of `room` bytes.
fn filled(room: i32, fill: impl FnOnce(*mut u8, *mut usize) -> StatusCode) -> Result<Vec<u8>> {
    let mut buffer = vec![0; usize::try_from(room).unwrap_or(0)];
    let mut length = buffer.len();
    let status = fill(buffer.as_mut_ptr(), &raw mut length);
    let refused = |text: String| Err(Error::new(ErrorKind::Auth, text));
    if status != IOTHUB_OK {
        // SAFETY: the name of a status is a static text.
        let name = unsafe { CStr::from_ptr(iothub_status_name(status)) }.to_string_lossy();
        return refused(format!("the callback returned {name} ({status})"));
    }
    if length > buffer.len() {
        return refused(format!(
            "the callback says that it wrote {length} bytes where there is room for {room}"
        ));
    }
    buffer.truncate(length);
    Ok(buffer)
}

/// Who signs tokens with the key of the device or module, in place of the key itself: a TPM, an HSM, a
/// key vault. The library makes the tokens, and renews them.
///
/// fn is called for each connection and each renewal, on a thread of the library, beside the other
/// callbacks of its client but never twice at a time for one client; clients made from the same options
/// may call it at the same time. It may block, for up to the connect timeout: later it is left behind, the
/// status says so with IOTHUB_CAUSE_AUTHENTICATION, and the next attempt waits for its return. What it
/// returns as an error is such a status too; both are tried again slowly.
///
/// Before a renewal the connection serves on until fn is done; where it fails then, it is called again
/// later, and a status comes only once the hub has ended the connection.
///
/// iothub_client_free does not wait for fn. free_fn runs once the options and all clients made from them
/// are freed and fn has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_sas_signer(
    options: *mut Options,
    r#fn: SignFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    // SAFETY: pointers as the header asks for them.
    unsafe {
        set(options, move |config| {
            let function = there(r#fn)?;
            config.set_sas_signer(Arc::new(move |data| {
                filled(IOTHUB_MAX_SIGNATURE, |sig, sig_len| {
                    function(data.as_ptr(), data.len(), sig, sig_len, user_data.pointer())
                })
            }));
            Ok(())
        })
    }
}

/// Who gives a whole token for each connection. The connection is made anew at 85 % of what is left of
/// the token's life. fn is called as that of iothub_options_set_sas_signer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_sas_token_source(
    options: *mut Options,
    r#fn: TokenFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    // SAFETY: pointers as the header asks for them.
    unsafe {
        set(options, move |config| {
            let function = there(r#fn)?;
            config.set_sas_token_source(Arc::new(move || {
                let token = filled(IOTHUB_MAX_TOKEN, |token, token_len| {
                    function(token.cast::<c_char>(), token_len, user_data.pointer())
                })?;
                String::from_utf8(token)
                    .map_err(|_| Error::new(ErrorKind::Auth, "the callback gave text that is not UTF-8"))
            }));
            Ok(())
        })
    }
}

/// As iothub_options_set_x509, from PEM files. They are read now, and again for each connection, so that
/// a certificate that was replaced is shown from the next one on. Files that cannot be used then are
/// IOTHUB_CAUSE_AUTHENTICATION, and are tried again slowly.
///
/// IOTHUB_E_ARGUMENT, with the path: one of them cannot be read, or they do not belong together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_x509_files(
    options: *mut Options,
    cert_path: *const c_char,
    key_path: *const c_char,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them.
    unsafe {
        set(options, |config| {
            let (certificate, key) = (text("cert_path", cert_path)?, text("key_path", key_path)?);
            config.set_x509_files(Path::new(certificate), Path::new(key))
        })
    }
}

/// The device's certificate with its chain in PEM, and who signs with its key. fn is called as that of
/// iothub_options_set_sas_signer, for each connection but those that resume a TLS session. The schemes
/// follow from the key: RSA 0x0804, 0x0805, 0x0806 (PSS) and 0x0401, 0x0501, 0x0601 (PKCS #1), P-256
/// 0x0403, P-384 0x0503, Ed25519 0x0807.
///
/// IOTHUB_E_ARGUMENT: no certificate, or one with a key of another kind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_x509_signer(
    options: *mut Options,
    cert_pem: *const c_void,
    cert_len: usize,
    r#fn: TlsSignFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    // SAFETY: pointers as the header asks for them.
    unsafe {
        set(options, move |config| {
            let function = there(r#fn)?;
            let sign = move |scheme: u16, data: &[u8]| {
                filled(IOTHUB_MAX_SIGNATURE, |sig, sig_len| {
                    function(scheme.into(), data.as_ptr(), data.len(), sig, sig_len, user_data.pointer())
                })
            };
            config.set_x509_signer(bytes("cert_pem", cert_pem, cert_len)?, Arc::new(sign))
        })
    }
}

/// Identity, gateway, credentials and roots of a module of IoT Edge, from the environment that the Edge
/// daemon starts it with: the IOTEDGE_ variables, or for development EdgeHubConnectionString or
/// IotHubConnectionString with EdgeModuleCACertificateFile. Tokens are signed by the daemon, and it is
/// asked whom to trust, for each connection; roots set by iothub_options_set_trusted_roots replace those.
///
/// IOTHUB_E_ARGUMENT names the variable that is missing or malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_options_set_edge_environment(options: *mut Options) -> StatusCode {
    // SAFETY: a pointer as the header asks for it.
    unsafe { set(options, |config| config.set_edge_environment()) }
}
