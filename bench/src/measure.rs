//! The timed section of a contender.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::Failure;

/// CPU time, user and system, of all threads of this process. The kernel's exact sum, as `getrusage` gives it.
pub fn process_cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// A timed section that is running.
#[derive(Debug)]
pub struct Section {
    cpu: Duration,
    wall: Instant,
}

impl Section {
    pub fn start() -> Self {
        Self { cpu: process_cpu(), wall: Instant::now() }
    }

    /// Ends the section in which `messages` messages were acknowledged.
    pub fn finish(self, messages: u64) -> Measurement {
        let cpu = process_cpu().saturating_sub(self.cpu);
        let wall = self.wall.elapsed();
        Measurement { messages, cpu, wall, peak_rss_kib: peak_rss_kib() }
    }
}

/// What one run of one contender cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    pub messages: u64,
    /// User and system, all threads of the client.
    pub cpu: Duration,
    pub wall: Duration,
    /// The most memory that the process ever held, in KiB; 0 when the system does not say.
    pub peak_rss_kib: u64,
}

impl Measurement {
    /// CPU microseconds for each message.
    pub fn cpu_per_message(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.messages as f64
    }

    /// Messages acknowledged in a second of wall time.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.wall.as_secs_f64()
    }

    /// The line that a contender prints: `{"messages":N,"cpu_us":…,"wall_us":…,"peak_rss_kib":…}`, totals of the section.
    pub fn to_json(&self) -> Value {
        json!({
            "messages": self.messages,
            "cpu_us": self.cpu.as_micros() as u64,
            "wall_us": self.wall.as_micros() as u64,
            "peak_rss_kib": self.peak_rss_kib,
        })
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// The line is no JSON, a number is missing, or no message was acknowledged.
    pub fn from_line(line: &str) -> Result<Self, Failure> {
        let value: Value = serde_json::from_str(line)?;
        let number = |name: &str| {
            value[name].as_u64().ok_or_else(|| format!("the line has no number \"{name}\": {line}"))
        };
        let (messages, wall) = (number("messages")?, number("wall_us")?);
        if messages == 0 || wall == 0 {
            return Err(format!("nothing was measured: {line}").into());
        }
        Ok(Self {
            messages,
            cpu: Duration::from_micros(number("cpu_us")?),
            wall: Duration::from_micros(wall),
            peak_rss_kib: number("peak_rss_kib")?,
        })
    }
}

// Not getrusage's ru_maxrss: that one still counts the process that started this one.
fn peak_rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    value.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_line_survives_the_way_to_the_runner() {
        let measurement = Measurement {
            messages: 1000,
            cpu: Duration::from_micros(2250),
            wall: Duration::from_millis(4),
            peak_rss_kib: 4300,
        };
        let read = Measurement::from_line(&measurement.to_json().to_string()).unwrap();
        assert_eq!(read, measurement);
        assert!((read.cpu_per_message() - 2.25).abs() < 1e-9);
        assert!((read.rate() - 250_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_line_that_measures_nothing_is_refused() {
        for line in [
            "",
            "{}",
            r#"{"messages":0,"cpu_us":1,"wall_us":1,"peak_rss_kib":1}"#,
            r#"{"messages":1,"cpu_us":1,"wall_us":1}"#,
        ] {
            assert!(Measurement::from_line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn work_costs_cpu_time() {
        let section = Section::start();
        let started = process_cpu();
        while process_cpu() == started {}
        let measurement = section.finish(1);
        assert!(measurement.cpu > Duration::ZERO);
        assert!(measurement.peak_rss_kib > 0);
    }
}
