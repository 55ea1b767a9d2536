//! The matrix of languages and scenarios.

use crate::arguments::Arguments;
use crate::languages::Program;
use crate::scenario::Scenario;
use crate::schedule::{Outcome, Played, Results};

/// Prints what came of it; whether all is well.
pub(crate) fn print(
    scenarios: &[Scenario],
    programs: &[Program],
    results: &Results,
    arguments: &Arguments,
) -> bool {
    if !arguments.brief {
        matrix(scenarios, programs, results);
    }
    let mut counts = [0; 4];
    for played in &results.played {
        let (scenario, language) = (&scenarios[played.scenario], programs[played.program].language);
        match &played.outcome {
            Outcome::Passed => counts[0] += 1,
            Outcome::Failed { failure, conversation } => {
                counts[1] += 1;
                println!("\n{} in {language}: {}", scenario.name, scenario.shows);
                println!("  {}\n  {}", failure.step, failure.reason);
                conversation.iter().for_each(|line| println!("    {line}"));
            }
            Outcome::Pending(reason) => {
                counts[2] += 1;
                if !arguments.brief {
                    println!("{} in {language} is pending: {reason}", scenario.name);
                }
            }
            Outcome::Alone => counts[3] += 1,
        }
    }
    results.ends.iter().for_each(|end| println!("{end}"));
    let [passed, failed, pending, alone] = counts;
    if let (Some(kind), Some(seed)) = (&arguments.fault, results.seed) {
        let faults: usize = results.played.iter().map(|played| played.faults).sum();
        println!("\n{faults} faults of kind {kind}, seed {seed}; {alone} with faults of their own left out");
    }
    let ok = failed == 0 && results.ends.is_empty();
    // As cargo's own tests end, for who adds them up.
    let word = if ok { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {pending} ignored; 0 measured; 0 filtered out; \
         finished in {:.2}s\n",
        results.time.as_secs_f64()
    );
    ok
}

fn matrix(scenarios: &[Scenario], programs: &[Program], results: &Results) {
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    print!("{:width$}", "");
    programs.iter().for_each(|program| print!(" {:>9}", program.language));
    println!();
    for (row, scenario) in scenarios.iter().enumerate() {
        print!("{:width$}", scenario.name);
        for column in 0..programs.len() {
            let cell = |played: &&Played| played.scenario == row && played.program == column;
            print!(" {:>9}", say(&results.played.iter().filter(cell).collect::<Vec<_>>()));
        }
        println!();
    }
}

fn say(played: &[&Played]) -> String {
    if let [only] = played {
        return match &only.outcome {
            Outcome::Passed => format!("{} ms", only.time.as_millis()),
            Outcome::Failed { .. } => "FAILED".to_owned(),
            Outcome::Pending(_) => "pending".to_owned(),
            Outcome::Alone => "-".to_owned(),
        };
    }
    let failed = played.iter().filter(|played| matches!(played.outcome, Outcome::Failed { .. })).count();
    if failed == 0 { format!("{} ok", played.len()) } else { format!("{failed} FAILED") }
}
