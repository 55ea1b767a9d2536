//! Many scenarios at a time, each with an agent of its own while it is played.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::arguments::Arguments;
use crate::languages::Program;
use crate::player::{Failure, Weather, play};
use crate::scenario::Scenario;
use crate::storm;

#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Passed,
    Failed {
        failure: Failure,
        conversation: Vec<String>,
    },
    /// It has to wait for something.
    Pending(String),
    /// It has faults of its own.
    Alone,
}

#[derive(Debug, Clone)]
pub(crate) struct Played {
    pub(crate) scenario: usize,
    pub(crate) program: usize,
    pub(crate) outcome: Outcome,
    pub(crate) time: Duration,
    pub(crate) faults: usize,
}

/// What agents say at their ends is an outcome of no scenario.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) played: Vec<Played>,
    pub(crate) ends: Vec<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) time: Duration,
}

pub(crate) fn play_all(scenarios: &[Scenario], programs: &[Program], arguments: &Arguments) -> Results {
    let begin = Instant::now();
    let fault = storm::KINDS.iter().find(|kind| arguments.fault.as_deref() == Some(*kind)).copied();
    let seed = fault.map(|_| arguments.seed.unwrap_or_else(|| fastrand::u64(..)));
    let times = arguments.times.unwrap_or(1);
    let mut work: Vec<(usize, usize)> = (0..times)
        .flat_map(|_| {
            (0..scenarios.len()).flat_map(|scenario| (0..programs.len()).map(move |p| (scenario, p)))
        })
        .collect();
    // Begun first, they end with the others.
    work.sort_by_key(|(scenario, _)| !scenarios[*scenario].slow);
    let work = Mutex::new(VecDeque::from(work));
    let idle: Vec<Mutex<Vec<Agent>>> = programs.iter().map(|_| Mutex::default()).collect();
    let played = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.unwrap_or(8) {
            scope.spawn(|| {
                loop {
                    let Some((scenario, program)) = work.lock().unwrap().pop_front() else { break };
                    let weather = fault.zip(seed).map(|(kind, seed)| Weather {
                        kind,
                        seed: seed.wrapping_add((scenario * 31 + program) as u64),
                    });
                    let begin = Instant::now();
                    let (outcome, faults) =
                        play_one(&scenarios[scenario], &programs[program], &idle[program], weather);
                    let time = begin.elapsed();
                    played.lock().unwrap().push(Played { scenario, program, outcome, time, faults });
                }
            });
        }
    });
    let mut ends = Vec::new();
    for (program, idle) in programs.iter().zip(idle) {
        for agent in idle.into_inner().unwrap() {
            if let Err(error) = agent.end() {
                ends.push(format!("{}: {error}", program.language));
            }
        }
    }
    Results { played: played.into_inner().unwrap(), ends, seed, time: begin.elapsed() }
}

fn play_one(
    scenario: &Scenario,
    program: &Program,
    idle: &Mutex<Vec<Agent>>,
    weather: Option<Weather>,
) -> (Outcome, usize) {
    let reason = scenario.pending.get(program.language).or_else(|| scenario.pending.get("all"));
    if let Some(reason) = reason {
        return (Outcome::Pending(reason.clone()), 0);
    }
    if weather.is_some() && scenario.alone.is_some() {
        return (Outcome::Alone, 0);
    }
    let agent = idle.lock().unwrap().pop();
    let mut agent = match agent.map_or_else(|| Agent::start(program), Ok) {
        Ok(agent) => agent,
        Err(reason) => {
            let failure = Failure { step: "start of the agent".to_owned(), reason };
            return (Outcome::Failed { failure, conversation: Vec::new() }, 0);
        }
    };
    match play(scenario, &mut agent, weather) {
        Ok(faults) => {
            idle.lock().unwrap().push(agent);
            (Outcome::Passed, faults)
        }
        // The agent has clients of a story that went wrong: the next gets another.
        Err(failure) => (Outcome::Failed { failure, conversation: agent.conversation() }, 0),
    }
}
