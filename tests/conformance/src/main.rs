//! `cargo run -p iothub-conformance -- --help`

use std::process::ExitCode;

fn main() -> ExitCode {
    iothub_conformance::run(&<iothub_conformance::Arguments as clap::Parser>::parse())
}
