//! Every scenario in every language, as a part of `cargo test`.

use std::process::ExitCode;

fn main() -> ExitCode {
    iothub_conformance::test(env!("CARGO_BIN_EXE_conformance-agent").as_ref())
}
