//! Handles: boxes that C holds by pointer.

use iothub::{Error, Result};

fn null(name: &str) -> Error {
    Error::argument(name, "must not be NULL")
}

/// What the handle `pointer` stands for.
///
/// # Safety
/// `pointer` is NULL or a live handle from [`give`] that nobody changes during the call.
pub(crate) unsafe fn borrow<'a, T>(name: &str, pointer: *const T) -> Result<&'a T> {
    // SAFETY: as promised by the caller.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// As [`borrow`], to change it.
///
/// # Safety
/// `pointer` is NULL or a live handle from [`give`] that nobody else uses during the call.
pub(crate) unsafe fn borrow_mut<'a, T>(name: &str, pointer: *mut T) -> Result<&'a mut T> {
    // SAFETY: as promised by the caller.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// Makes a handle of what `make` returns and writes it to `out`, only if that went well.
///
/// # Safety
/// `out` is NULL or may be written.
pub(crate) unsafe fn give<T>(out: *mut *mut T, make: impl FnOnce() -> Result<T>) -> Result<()> {
    // Before anything is made that would have to be taken back.
    if out.is_null() {
        return Err(null("out"));
    }
    let handle = Box::into_raw(Box::new(make()?));
    // SAFETY: not NULL, writable as promised by the caller.
    unsafe { out.write(handle) };
    Ok(())
}

/// Writes `value` to the output `name`.
///
/// # Safety
/// `out` was found not to be NULL, and may be written.
pub(crate) unsafe fn write<T>(out: *mut T, value: T) {
    // SAFETY: as promised by the caller.
    unsafe { out.write(value) };
}

/// An output that has to be there.
pub(crate) fn output<T>(name: &str, out: *mut T) -> Result<*mut T> {
    if out.is_null() { Err(null(name)) } else { Ok(out) }
}

/// Takes a handle back and drops what it stands for; NULL is nothing.
///
/// # Safety
/// `pointer` is NULL or a handle from [`give`] that is not used any more.
pub(crate) unsafe fn take_back<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: made by `Box::into_raw` in `give`, and taken back once.
        drop(unsafe { Box::from_raw(pointer) });
    }
}
