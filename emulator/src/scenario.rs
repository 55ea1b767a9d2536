//! Faults that come by themselves: a scenario that is the same in every run of a test.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::runtime::Handle;

use crate::broker::Broker;
use crate::faults::{Armed, Fault};
use crate::toml_file;

const YEAR: Duration = Duration::from_secs(31_536_000);

/// A [`Fault`] that is armed at a time after the hub's start.
///
/// Where its device is not registered at that moment, an event says so and nothing else happens: it may
/// be registered later, which `every` waits for.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Text")]
pub struct TimedFault {
    pub fault: Fault,
    /// From the moment when the hub accepts connections.
    pub at: Duration,
    /// How long after each time it is armed once more; never where it is absent.
    pub every: Option<Duration>,
}

impl TimedFault {
    pub fn new(fault: Fault, at: Duration) -> Self {
        Self { fault, at, every: None }
    }

    #[must_use]
    pub fn every(mut self, time: Duration) -> Self {
        self.every = Some(time);
        self
    }

    /// Whether the hub knows such a fault; the error is the rule that it breaks.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.every.is_some_and(|time| time.is_zero()) {
            return Err("every-ms must be at least 1".into());
        }
        // Which can still be added to any clock.
        if self.at.max(self.every.unwrap_or_default()) > YEAR {
            return Err("at-ms and every-ms must be at most a year".into());
        }
        Armed::new(&self.fault, Instant::now()).map(|_| ()).map_err(|error| error.message)
    }
}

/// As it stands in a file; names have either mark between their words, as in the JSON of the HTTP API.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Text {
    name: String,
    #[serde(default = "everybody")]
    device: String,
    count: Option<u32>,
    #[serde(alias = "for_ms")]
    for_ms: Option<u64>,
    #[serde(alias = "after_messages")]
    after_messages: Option<u32>,
    code: Option<u16>,
    #[serde(default, alias = "at_ms")]
    at_ms: u64,
    #[serde(alias = "every_ms")]
    every_ms: Option<u64>,
}

fn everybody() -> String {
    "*".to_owned()
}

impl From<Text> for TimedFault {
    fn from(text: Text) -> Self {
        let Text { name, device, count, for_ms, after_messages, code, at_ms, every_ms } = text;
        Self {
            fault: Fault { fault: name, device, count, for_ms, after_messages, code },
            at: Duration::from_millis(at_ms),
            every: every_ms.map(Duration::from_millis),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// By the name that `hub.toml` has, too.
    #[serde(alias = "faults")]
    fault: Vec<toml::Spanned<TimedFault>>,
}

/// Reads a file of `[[fault]]` tables; the error names the file, the line and the rule.
pub(crate) fn read(path: &Path) -> Result<Vec<TimedFault>, String> {
    let file = toml_file::File::read(path)?;
    let scenario: Scenario = file.parse()?;
    scenario.fault.into_iter().map(|fault| file.checked(fault, TimedFault::check)).collect()
}

/// Arms each at its time, for as long as the runtime lives.
pub(crate) fn start(faults: &[TimedFault], broker: &Arc<Broker>, runtime: &Handle) {
    let start = tokio::time::Instant::now();
    for fault in faults.iter().cloned() {
        // Held weakly: a hub that goes away does not wait for its faults.
        let broker = Arc::downgrade(broker);
        runtime.spawn(async move {
            let mut next = start + fault.at;
            loop {
                tokio::time::sleep_until(next).await;
                let Some(broker) = broker.upgrade() else {
                    return;
                };
                // What was wrong with it was said at the start; a device may be gone meanwhile.
                broker.fault_by_itself(&fault.fault);
                let Some(every) = fault.every else {
                    return;
                };
                next += every;
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scratch::ScratchDir;

    fn parse(text: &str) -> Result<Vec<TimedFault>, String> {
        let dir = ScratchDir::new().unwrap();
        let path = dir.path().join("faults.toml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn every_field_is_read() {
        let faults = parse(
            "[[fault]]\nname = 'drop'\n[[fault]]\nname = 'refuse'\ndevice = 'd/m'\ncount = 2\nfor-ms = 3\ncode = 4\nat-ms = 5\nevery-ms = 6\n[[fault]]\nname = 'drop'\nafter-messages = 7\n",
        )
        .unwrap();
        let Fault { fault, device, count, .. } = &faults[0].fault;
        assert_eq!((fault.as_str(), device.as_str(), *count), ("drop", "*", None));
        assert_eq!((faults[0].at, faults[0].every), (Duration::ZERO, None));
        let Fault { device, count, for_ms, code, .. } = &faults[1].fault;
        assert_eq!((device.as_str(), *count, *for_ms, *code), ("d/m", Some(2), Some(3), Some(4)));
        assert_eq!((faults[1].at.as_millis(), faults[1].every.unwrap().as_millis()), (5, 6));
        assert_eq!(faults[2].fault.after_messages, Some(7));
    }

    #[test]
    fn names_may_be_spelled_as_elsewhere() {
        let faults = parse(
            "[[faults]]\nname = 'mute'\nfor_ms = 3\nat_ms = 5\nevery_ms = 6\n[[faults]]\nname = 'drop'\nafter_messages = 7\n",
        )
        .unwrap();
        assert_eq!((faults[0].fault.for_ms, faults[1].fault.after_messages), (Some(3), Some(7)));
        assert_eq!((faults[0].at.as_millis(), faults[0].every.unwrap().as_millis()), (5, 6));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, rule) in [
            ("[[fault]]\nname = 'explode'\n", 1, "there is no fault 'explode'"),
            ("[[fault]]\nname = 'drop'\n\n[[fault]]\nname = 'delay'\n", 4, "need for_ms"),
            ("[[fault]]\nname = 'drop'\nevery-ms = 0\n", 1, "every-ms must be at least 1"),
            ("[[fault]]\nname = 'drop'\nat-ms = 31536000001\n", 1, "at most a year"),
            ("[[fault]]\nname = 'drop'\nat = 1\n", 3, "unknown field `at`"),
            ("[[fault]]\ncount = 1\n", 1, "missing field `name`"),
            ("[[fault]]\nname = 'drop'\nfor_ms = 1\nfor-ms = 1\n", 1, "duplicate field"),
            ("[[fault]]\nname = \n", 2, ""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("line {line}: ")) && error.contains(rule), "{text}: {error}");
        }
    }
}
