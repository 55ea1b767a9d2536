//! The command line.

use clap::Parser;

use crate::scenario::Scenario;
use crate::storm;

/// Plays the conformance scenarios in every language and prints a matrix of the results.
#[derive(Debug, Clone, Default, Parser)]
pub struct Arguments {
    /// Scenarios whose names contain this; may be given several times
    pub scenario: Vec<String>,
    /// Only these languages: rust, c, c-manual, cpp
    #[arg(long, value_delimiter = ',')]
    pub language: Vec<String>,
    /// Every scenario that allows it, with this fault again and again beneath it
    #[arg(long, value_parser = storm::KINDS)]
    pub fault: Option<String>,
    /// The seed of the times at which faults come
    #[arg(long, requires = "fault")]
    pub seed: Option<u64>,
    /// How many scenarios are played at the same time
    #[arg(long)]
    pub jobs: Option<usize>,
    /// How often everything is played
    #[arg(long)]
    pub times: Option<usize>,
    /// No matrix, only what failed and how many
    #[arg(long)]
    pub brief: bool,
    /// Names the scenarios and says what they show
    #[arg(long)]
    pub list: bool,
}

impl Arguments {
    pub(crate) fn chooses(&self, scenario: &Scenario) -> bool {
        self.scenario.is_empty() || self.scenario.iter().any(|part| scenario.name.contains(part.as_str()))
    }
}
