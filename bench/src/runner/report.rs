//! The table: medians over the rounds, and how they compare.

use std::fmt::Write as _;

use super::contenders::{Contender, Role};
use super::process::Run;

/// All that is known of one contender.
#[derive(Debug)]
pub struct Row {
    pub contender: Contender,
    pub runs: Vec<Run>,
    /// Why it did not take part, or what went wrong in a round.
    pub trouble: Option<String>,
}

/// Median, least and most of a figure over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` for no values. The median of an even number is the mean of the middle two.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, least, most })
    }
}

impl Row {
    /// CPU microseconds of the client for each message.
    pub fn cpu(&self) -> Option<Spread> {
        Spread::of(self.runs.iter().map(|run| run.client.cpu_per_message()))
    }

    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        Spread::of(self.runs.iter().map(figure)).map_or(f64::NAN, |spread| spread.median)
    }
}

/// The cheapest median among the rows of a role: each peer is compared with at its best.
pub fn best(rows: &[Row], role: Role) -> Option<f64> {
    let medians =
        rows.iter().filter(|row| row.contender.role == role).filter_map(|row| Some(row.cpu()?.median));
    medians.min_by(f64::total_cmp)
}

/// The table as Markdown.
pub fn table(rows: &[Row]) -> String {
    let (rumqttc, mosquitto) = (best(rows, Role::Rumqttc), best(rows, Role::Mosquitto));
    let width = rows.iter().map(|row| row.contender.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "| {:width$} | window | CPU µs/msg [min-max]  | to rumqttc | to libmosquitto |      msgs/s | hub µs/msg | peak RSS MiB |\n\
         |{:-<dashes$}|-------:|----------------------:|-----------:|----------------:|------------:|-----------:|-------------:|\n",
        "client",
        "",
        dashes = width + 2
    );
    for row in rows {
        let Contender { name, window, .. } = row.contender;
        let Some(cpu) = row.cpu() else {
            let why = row.trouble.as_deref().unwrap_or("no rounds");
            let _ = writeln!(text, "| {name:width$} | {window:>6} | {why}");
            continue;
        };
        let ratio = |reference: Option<f64>| {
            reference.map_or("-".into(), |value| format!("{:.2}", cpu.median / value))
        };
        let figures = format!("{:.2} [{:.2}-{:.2}]", cpu.median, cpu.least, cpu.most);
        let hub = row.median(|run| run.hub_cpu.as_secs_f64() * 1e6 / run.client.messages as f64);
        let _ = writeln!(
            text,
            "| {name:width$} | {window:>6} | {figures:>21} | {:>10} | {:>15} | {:>11.0} | {hub:>10.2} | {:>12.1} |",
            ratio(rumqttc),
            ratio(mosquitto),
            row.median(|run| run.client.rate()),
            row.median(|run| run.client.peak_rss_kib as f64) / 1024.0,
        );
    }
    for row in rows.iter().filter(|row| !row.runs.is_empty()) {
        if let Some(trouble) = &row.trouble {
            let _ = writeln!(text, "{}: only {} rounds: {trouble}", row.contender.name, row.runs.len());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::super::contenders::Driver;
    use super::*;
    use crate::measure::Measurement;

    fn row(name: &'static str, role: Role, cpu_us: &[u64]) -> Row {
        let runs = cpu_us.iter().map(|&cpu| Run {
            client: Measurement {
                messages: 100,
                cpu: Duration::from_micros(cpu),
                wall: Duration::from_millis(1),
                peak_rss_kib: 4096,
            },
            hub_cpu: Duration::from_micros(50),
        });
        let contender = Contender { name, driver: Driver::Rust("never"), window: 10, role };
        Row { contender, runs: runs.collect(), trouble: None }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 9.0]), Some(Spread { median: 3.0, least: 1.0, most: 9.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 9.0, 2.0]), Some(Spread { median: 3.0, least: 1.0, most: 9.0 }));
    }

    #[test]
    fn ratios_are_to_each_peer_at_its_best() {
        let rows = [
            row("ours", Role::Ours, &[50, 40, 60]),
            row("rumqttc", Role::Rumqttc, &[200]),
            row("mosquitto 20", Role::Mosquitto, &[800]),
            row("mosquitto 100", Role::Mosquitto, &[1000]),
        ];
        let table = table(&rows);
        let ours: Vec<&str> = table.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(
            ours[1..],
            ["ours", "10", "0.50 [0.40-0.60]", "0.25", "0.06", "100000", "0.50", "4.0", ""]
        );
    }

    #[test]
    fn who_does_not_take_part_is_named() {
        let mut absent = row("absent", Role::Mosquitto, &[]);
        absent.trouble = Some("not built".into());
        let table = table(&[absent, row("ours", Role::Ours, &[50])]);
        assert!(table.contains("| absent |     10 | not built"), "{table}");
        assert!(table.lines().nth(3).unwrap().contains("|          - |               - |"), "{table}");
    }
}
