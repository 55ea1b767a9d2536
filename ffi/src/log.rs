//! Log lines for C. Nothing is installed until it is asked for.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, Once, PoisonError};

use iothub::{Error, ErrorKind, Result};
use log::{LevelFilter, Log, Metadata, Record};

use crate::boundary;
use crate::closure::{FreeFn, UserData};
use crate::status::StatusCode;
use crate::text::c_text;

/// Gets one log line: level 1 error, 2 warning, 3 info, 4 debug, 5 trace; where it comes from; the text.
/// Both texts are valid until this returns. May run on any thread, several at a time.
pub type LogFn = Option<
    unsafe extern "C" fn(level: i32, target: *const c_char, text: *const c_char, user_data: *mut c_void),
>;

struct Receiver {
    function: unsafe extern "C" fn(i32, *const c_char, *const c_char, *mut c_void),
    user_data: UserData,
}

static RECEIVER: Mutex<Option<Arc<Receiver>>> = Mutex::new(None);

struct ToC;

thread_local! {
    /// A log function that calls the library would otherwise be called for its own calls.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Log for ToC {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true)
        {
            return;
        }
        let receiver = RECEIVER.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(receiver) = receiver {
            let (target, text) = (c_text(record.target()), c_text(&record.args().to_string()));
            let level = record.level() as i32;
            // SAFETY: C's own function with C's own pointer, which lives as long as the receiver.
            unsafe {
                (receiver.function)(level, target.as_ptr(), text.as_ptr(), receiver.user_data.pointer())
            };
        }
        let _ = INSIDE.try_with(|inside| inside.set(false));
    }

    fn flush(&self) {}
}

/// Sends the library's log to fn, for the whole process, in place of what was set before: level 0
/// nothing, 1 errors, 2 warnings, 3 info, 4 debug, 5 everything. Without this call nothing is logged.
/// Keys, tokens and payloads are never logged at any level. What fn itself causes is not logged. fn may call
/// the library, but must not free a client: threads that this waits for may be inside of fn.
/// free_fn of the receiver before runs when its last call, perhaps on another thread, has returned.
///
/// IOTHUB_E_ARGUMENT: level is not 0 to 5, or fn is NULL while level is not 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_log_to(
    level: i32,
    r#fn: LogFn,
    user_data: *mut c_void,
    free_fn: FreeFn,
) -> StatusCode {
    let user_data = UserData::new(user_data, free_fn);
    boundary::call(move || {
        let filter = match level {
            0 => LevelFilter::Off,
            1 => LevelFilter::Error,
            2 => LevelFilter::Warn,
            3 => LevelFilter::Info,
            4 => LevelFilter::Debug,
            5 => LevelFilter::Trace,
            _ => return Err(Error::argument("level", format_args!("{level} is not in 0..=5"))),
        };
        let receiver = match r#fn {
            Some(function) if level > 0 => Some(Arc::new(Receiver { function, user_data })),
            None if level > 0 => return Err(Error::argument("fn", "must not be NULL")),
            _ => None,
        };
        install()?;
        let mut current = RECEIVER.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, receiver);
        log::set_max_level(filter);
        drop(current);
        // Outside of the lock: its free function may call anything.
        drop(before);
        Ok(())
    })
}

fn install() -> Result<()> {
    static ONCE: Once = Once::new();
    static LOGGER: ToC = ToC;
    ONCE.call_once(|| {
        // Fails only in a program that brings a logger of its own for Rust, which is checked below.
        let _ = log::set_logger(&LOGGER);
    });
    let installed: *const dyn Log = log::logger();
    if std::ptr::addr_eq(installed, &raw const LOGGER) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::State, "this program has a logger for Rust already"))
}
