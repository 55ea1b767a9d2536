//! Callbacks of C: a function, the pointer that it gets, and a function that frees that pointer.

use std::ffi::{c_char, c_void};

use iothub::{Answer, Completion, Result, Words};

use crate::status::{IOTHUB_OK, StatusCode, code};
use crate::text::c_text;

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

/// The closure that learns how one operation ends. `function` may be NULL: nobody wants to know.
pub(crate) struct Done {
    function: DoneFn,
    user_data: UserData,
}

impl Done {
    pub(crate) fn new(function: DoneFn, user_data: *mut c_void, free: FreeFn) -> Self {
        Self { function, user_data: UserData::new(user_data, free) }
    }

    /// Travels as three words, so that a send allocates nothing for it.
    pub(crate) fn into_completion(mut self) -> Completion {
        let free = self.user_data.free.take();
        // SAFETY: a function pointer that may be NULL is as large as a word.
        let words = unsafe {
            [
                std::mem::transmute::<DoneFn, usize>(self.function),
                self.user_data.pointer as usize,
                std::mem::transmute::<FreeFn, usize>(free),
            ]
        };
        Completion::from_words(finish, words)
    }
}

/// `None`: the call was refused, and its status has said so.
fn finish(words: Words, result: Option<Result<Answer>>) {
    let [function, pointer, free] = words;
    // SAFETY: the words that `into_completion` made, which core gives back once.
    let (function, free) = unsafe {
        (std::mem::transmute::<usize, DoneFn>(function), std::mem::transmute::<usize, FreeFn>(free))
    };
    let user_data = UserData::new(pointer as *mut c_void, free);
    let (Some(function), Some(result)) = (function, result) else { return };
    match result {
        // SAFETY: C's own function with C's own pointer; the text is static.
        Ok(_) => unsafe { function(IOTHUB_OK, c"".as_ptr(), user_data.pointer()) },
        Err(error) => {
            let detail = c_text(error.detail());
            // SAFETY: as above; the text lives until the function has returned.
            unsafe { function(code(error.kind()), detail.as_ptr(), user_data.pointer()) }
        }
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
