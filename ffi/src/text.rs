//! Text and bytes that cross the boundary.

use std::ffi::{CStr, CString, c_char, c_void};

use iothub::{Error, Result};

/// The text at `pointer`.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated text that lives as long as the call.
pub(crate) unsafe fn text<'a>(name: &str, pointer: *const c_char) -> Result<&'a str> {
    // SAFETY: as promised by the caller.
    let text = unsafe { optional_text(name, pointer) }?;
    text.ok_or_else(|| Error::argument(name, "must not be NULL"))
}

/// As [`text`]; NULL is `None`.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn optional_text<'a>(name: &str, pointer: *const c_char) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so NUL-terminated and alive, as promised by the caller.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| Error::argument(name, "must be UTF-8"))
}

/// The `len` bytes at `pointer`.
///
/// # Safety
/// `pointer` is NULL or points to `len` bytes that live, unchanged, as long as the call.
pub(crate) unsafe fn bytes<'a>(name: &str, pointer: *const c_void, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Error::argument(name, "may be NULL only where its length is 0"));
    }
    if isize::try_from(len).is_err() {
        return Err(Error::argument(name, "is longer than memory"));
    }
    // SAFETY: not NULL, not longer than an object can be, alive as promised by the caller.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), len) })
}

/// `text` for C. A NUL inside, which C could not see past, is shown as U+FFFD.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let mut shown = Vec::with_capacity(text.len() + 16);
        for &byte in error.into_vec().iter() {
            match byte {
                0 => shown.extend_from_slice("\u{fffd}".as_bytes()),
                other => shown.push(other),
            }
        }
        CString::new(shown).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_checked() {
        // SAFETY: NULL and static texts.
        unsafe {
            let null = text("host", std::ptr::null()).unwrap_err();
            assert_eq!(null.detail(), "host: must not be NULL");
            let bad = text("host", c"\xff".as_ptr()).unwrap_err();
            assert_eq!(bad.detail(), "host: must be UTF-8");
            assert_eq!(text("host", c"h\xc3\xbcb".as_ptr()).unwrap(), "hüb");
            assert_eq!(optional_text("module_id", std::ptr::null()).unwrap(), None);
        }
    }

    #[test]
    fn bytes_are_checked() {
        // SAFETY: NULL, and a static array of three bytes; the long one is refused unread.
        unsafe {
            assert_eq!(bytes("data", std::ptr::null(), 0).unwrap(), b"");
            assert!(bytes("data", std::ptr::null(), 1).is_err());
            assert_eq!(bytes("data", b"abc".as_ptr().cast(), 3).unwrap(), b"abc");
            assert!(bytes("data", b"abc".as_ptr().cast(), usize::MAX).is_err());
        }
    }

    #[test]
    fn nul_inside_a_text_is_shown() {
        assert_eq!(c_text("a\0b").to_str().unwrap(), "a\u{fffd}b");
    }
}
