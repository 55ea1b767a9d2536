//! The program; everything is in the library.

fn main() -> std::process::ExitCode {
    iothub_emulator::cli::run()
}
