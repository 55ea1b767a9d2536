//! What a subcommand prints.

use std::fmt::Display;
use std::io::{self, Write};

/// One line on the standard output. A reader that has seen enough is no error.
pub(super) fn print(text: impl Display) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("the standard output: {error}"))
        }
        _ => Ok(()),
    }
}
