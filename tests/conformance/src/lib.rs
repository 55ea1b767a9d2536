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

use std::process::ExitCode;

pub use arguments::Arguments;

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
    let programs: Vec<_> = languages.into_iter().map(languages::Language::build).collect();
    let results = schedule::play_all(&scenarios, &programs, arguments);
    if report::print(&scenarios, &programs, &results, arguments) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The whole suite under `cargo test`, whose flags mean nothing here but a filter by name.
pub fn test() -> ExitCode {
    let filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    run(&Arguments { scenario: filters.collect(), ..Arguments::default() })
}
