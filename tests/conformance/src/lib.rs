//! Plays the scenarios of `scenarios/` with a small program in each language, its agent, against the
//! local hub. `README.md` beside this crate says what a scenario and an agent are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod arguments;
mod backend;
mod credential;
mod expect;
mod hub_log;
mod languages;
mod log;
mod matching;
mod player;
mod report;
mod scenario;
mod schedule;
mod storm;
mod world;

use std::path::Path;
use std::process::ExitCode;

pub use arguments::Arguments;

use languages::Program;
use scenario::Scenario;

/// Runs what the arguments choose, and prints the matrix.
pub fn run(arguments: &Arguments) -> ExitCode {
    let scenarios = match scenario::load() {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let scenarios: Vec<_> = scenarios.into_iter().filter(|scenario| arguments.chooses(scenario)).collect();
    if arguments.list {
        for scenario in &scenarios {
            println!("{:28} {}", scenario.name, scenario.shows);
        }
        return ExitCode::SUCCESS;
    }
    let languages = languages::chosen(&arguments.language);
    if scenarios.is_empty() || languages.is_empty() {
        eprintln!("no scenario or no language has such a name");
        return ExitCode::FAILURE;
    }
    let programs: Vec<_> = languages.into_iter().map(|language| language.build(None)).collect();
    if play(&scenarios, &programs, arguments) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play(scenarios: &[Scenario], programs: &[Program], arguments: &Arguments) -> bool {
    let results = schedule::play_all(scenarios, programs, arguments);
    report::print(scenarios, programs, &results, arguments)
}

/// The whole suite under `cargo test`, whose flags mean nothing here but a filter by name: all in every
/// language, and then beneath each kind of fault in one of them, or in all where IOTHUB_SOAK is set.
///
/// Cargo has built `rust_agent`.
pub fn test(rust_agent: &Path) -> ExitCode {
    let filters: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if !filters.is_empty() {
        return run(&Arguments { scenario: filters, ..Arguments::default() });
    }
    let scenarios = scenario::load().unwrap();
    let build = |language: languages::Language| language.build(Some(rust_agent));
    let programs: Vec<_> = languages::chosen(&[]).into_iter().map(build).collect();
    let soak = std::env::var_os("IOTHUB_SOAK").is_some();
    let mut well = play(&scenarios, &programs, &Arguments::default());
    for (n, kind) in storm::KINDS.iter().enumerate() {
        let arguments = Arguments { fault: Some((*kind).to_owned()), brief: true, ..Arguments::default() };
        let n = n % programs.len();
        let some = if soak { &programs[..] } else { &programs[n..=n] };
        well &= play(&scenarios, some, &arguments);
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
