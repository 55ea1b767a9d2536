//! Callbacks of C: a function, the pointer that it gets, and a function that frees that pointer.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_void};

use bytes::Bytes;
use iothub::{Answer, Completion, Error, Result, Words};

use crate::status::{IOTHUB_OK, StatusCode, code};
use crate::text::c_text;
use crate::twin::{PatchFn, TwinFn};

/// Frees user_data. Runs exactly once, after the last call of the function beside it.
pub type FreeFn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// How an operation ended. detail is "" for IOTHUB_OK, and valid until this returns.
pub type DoneFn =
    Option<unsafe extern "C" fn(status: StatusCode, detail: *const c_char, user_data: *mut c_void)>;

/// What C passes to its callback, freed when this is dropped.
pub(crate) struct UserData {
    pointer: *mut c_void,
    free: FreeFn,
}

// SAFETY: the header says that callbacks and free functions run on any thread.
unsafe impl Send for UserData {}
// SAFETY: as above; those of the log and of credentials are shared, and the header says that they run on
// any thread and may run on several at a time.
unsafe impl Sync for UserData {}

impl UserData {
    pub(crate) fn new(pointer: *mut c_void, free: FreeFn) -> Self {
        Self { pointer, free }
    }

    pub(crate) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(free) = self.free.take() {
            // SAFETY: given by C for this pointer, and taken, so called once.
            unsafe { free(self.pointer) };
        }
    }
}

/// The closure that learns how one operation ends. `F` is the type of a C function that may be NULL:
/// nobody wants to know.
pub(crate) struct Closure<F> {
    function: F,
    user_data: UserData,
}

pub(crate) type Done = Closure<DoneFn>;

impl<F: Copy> Closure<F> {
    const IS_A_WORD: () = assert!(size_of::<F>() == size_of::<usize>());

    pub(crate) fn new(function: F, user_data: *mut c_void, free: FreeFn) -> Self {
        Self { function, user_data: UserData::new(user_data, free) }
    }

    /// Travels as three words, so that an operation allocates nothing for it; `finish` makes a closure
    /// of them again.
    fn into_words(mut self, finish: fn(Words, Option<Result<Answer>>)) -> Completion {
        const { Self::IS_A_WORD };
        let free = self.user_data.free.take();
        // SAFETY: a function pointer that may be NULL is as large as a word.
        let words = unsafe {
            [
                std::mem::transmute_copy::<F, usize>(&self.function),
                self.user_data.pointer as usize,
                std::mem::transmute::<FreeFn, usize>(free),
            ]
        };
        Completion::from_words(finish, words)
    }

    /// # Safety
    /// `words` are those that `into_words` of the same `F` made, given back once.
    unsafe fn from_words([function, pointer, free]: Words) -> Self {
        const { Self::IS_A_WORD };
        // SAFETY: as promised by the caller.
        let (function, free) = unsafe {
            (std::mem::transmute_copy::<usize, F>(&function), std::mem::transmute::<usize, FreeFn>(free))
        };
        Self { function, user_data: UserData::new(pointer as *mut c_void, free) }
    }
}

/// A status and its detail for C.
fn outcome(error: Option<&Error>) -> (StatusCode, Cow<'static, CStr>) {
    match error {
        None => (IOTHUB_OK, Cow::Borrowed(c"")),
        Some(error) => (code(error.kind()), Cow::Owned(c_text(error.detail()))),
    }
}

impl Closure<DoneFn> {
    pub(crate) fn into_completion(self) -> Completion {
        // `None`: the call was refused, and its status has said so.
        self.into_words(|words, result| {
            // SAFETY: core gives back the words that it got, once.
            let this = unsafe { Self::from_words(words) };
            let (Some(function), Some(result)) = (this.function, result) else { return };
            let (status, detail) = outcome(result.as_ref().err());
            // SAFETY: C's own function with C's own pointer; the text lives until it has returned.
            unsafe { function(status, detail.as_ptr(), this.user_data.pointer()) };
        })
    }
}

impl Closure<TwinFn> {
    pub(crate) fn into_completion(self) -> Completion {
        self.into_words(|words, result| {
            // SAFETY: core gives back the words that it got, once.
            let this = unsafe { Self::from_words(words) };
            let (Some(function), Some(result)) = (this.function, result) else { return };
            let (status, detail) = outcome(result.as_ref().err());
            let json = if let Ok(Answer::Twin(json)) = result { json } else { Bytes::new() };
            let user_data = this.user_data.pointer();
            // SAFETY: as above; the document lives as long.
            unsafe { function(status, detail.as_ptr(), json.as_ptr().cast(), json.len(), user_data) };
        })
    }
}

impl Closure<PatchFn> {
    pub(crate) fn into_completion(self) -> Completion {
        self.into_words(|words, result| {
            // SAFETY: core gives back the words that it got, once.
            let this = unsafe { Self::from_words(words) };
            let (Some(function), Some(result)) = (this.function, result) else { return };
            let (status, detail) = outcome(result.as_ref().err());
            let version = if let Ok(Answer::Reported(Some(version))) = result { version } else { 0 };
            // SAFETY: as above.
            unsafe { function(status, detail.as_ptr(), version, this.user_data.pointer()) };
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Calls {
        done: Vec<StatusCode>,
        freed: usize,
    }

    unsafe extern "C" fn done(status: StatusCode, _: *const c_char, calls: *mut c_void) {
        // SAFETY: the tests pass a live `Calls`.
        let calls = unsafe { &mut *calls.cast::<Calls>() };
        assert_eq!(calls.freed, 0);
        calls.done.push(status);
    }

    unsafe extern "C" fn free(calls: *mut c_void) {
        // SAFETY: the tests pass a live `Calls`.
        unsafe { &mut *calls.cast::<Calls>() }.freed += 1;
    }

    #[test]
    fn a_refused_call_frees_and_tells_nobody() {
        let mut calls = Calls::default();
        drop(Done::new(Some(done), (&raw mut calls).cast(), Some(free)));
        assert_eq!((calls.done.len(), calls.freed), (0, 1));
    }

    #[test]
    fn a_dropped_completion_says_closed_once() {
        let mut calls = Calls::default();
        drop(Done::new(Some(done), (&raw mut calls).cast(), Some(free)).into_completion());
        assert_eq!(calls.done, [crate::status::IOTHUB_E_CLOSED]);
        assert_eq!(calls.freed, 1);
    }

    #[test]
    fn every_part_may_be_missing() {
        let mut calls = Calls::default();
        drop(Done::new(None, (&raw mut calls).cast(), Some(free)).into_completion());
        assert_eq!((calls.done.len(), calls.freed), (0, 1));
        drop(Done::new(None, std::ptr::null_mut(), None).into_completion());
    }
}
