//! The events of the last while, so that a reader may be slow, fall asleep or come again. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

/// An event as a line of JSON, with its number.
pub(crate) type Line = (u64, Arc<str>);

/// Lines up to a count and a size; the oldest go first.
#[derive(Debug)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    max_lines: usize,
    max_bytes: usize,
}

impl Ring {
    fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, max_lines, max_bytes }
    }

    fn push(&mut self, line: Line) {
        self.bytes += line.1.len();
        self.lines.push_back(line);
        while self.lines.len() > self.max_lines || self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
        }
    }
}

/// What a reader gets who has read up to some event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// How many events came in between that are not kept any more.
    pub(crate) lost: u64,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug)]
pub(crate) struct History {
    last: u64,
    /// Every event, from the first reader on.
    recent: Option<Ring>,
    /// Who came, went and was refused, since the hub started.
    operations: Ring,
}

impl Default for History {
    fn default() -> Self {
        Self { last: 0, recent: None, operations: Ring::new(500, 1 << 20) }
    }
}

impl History {
    /// The number of the newest event.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// From here on every event is kept for readers.
    pub(crate) fn start(&mut self) {
        self.recent.get_or_insert_with(|| Ring::new(16_384, 16 << 20));
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.recent.is_some()
    }

    pub(crate) fn push(&mut self, line: Arc<str>, operation: bool) {
        self.last += 1;
        if operation {
            self.operations.push((self.last, line.clone()));
        }
        if let Some(recent) = &mut self.recent {
            recent.push((self.last, line));
        }
    }

    pub(crate) fn operations(&self) -> Vec<Line> {
        self.operations.lines.iter().cloned().collect()
    }

    /// What came after the event `after`, up to about `max_bytes`.
    pub(crate) fn after(&self, after: u64, max_bytes: usize) -> Batch {
        let Some(recent) = &self.recent else {
            return Batch::default();
        };
        let kept = u64::try_from(recent.lines.len()).unwrap_or(u64::MAX);
        let oldest = self.last - kept + 1;
        let from = oldest.max(after.saturating_add(1));
        let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |(_, line): &&Line| {
            let first = bytes == 0;
            bytes += line.len();
            first || bytes <= max_bytes
        };
        let lines = recent.lines.iter().skip(skip).take_while(fits).cloned().collect();
        Batch { lost: oldest.saturating_sub(after.saturating_add(1)), lines }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn filled(events: u64, recorded_from: u64) -> History {
        let mut history = History::default();
        for number in 1..=events {
            if number == recorded_from {
                history.start();
            }
            history.push(number.to_string().into(), number % 2 == 0);
        }
        history
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        for (number, line) in &batch.lines {
            assert_eq!(&*number.to_string(), &**line);
        }
        batch.lines.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let history = filled(5, 1);
        for (after, expected) in [(0, vec![1, 2, 3, 4, 5]), (3, vec![4, 5]), (5, vec![]), (9, vec![])] {
            let batch = history.after(after, 1000);
            assert_eq!((batch.lost, numbers(&batch)), (0, expected), "after {after}");
        }
    }

    #[test]
    fn what_is_not_kept_is_counted() {
        let history = filled(20_000, 1);
        let batch = history.after(600, usize::MAX);
        assert_eq!(batch.lost, 20_000 - 16_384 - 600);
        assert_eq!(numbers(&batch), (3617..=20_000).collect::<Vec<_>>());
        // Not recorded yet when it happened.
        let batch = filled(10, 8).after(5, 1000);
        assert_eq!((batch.lost, numbers(&batch)), (2, vec![8, 9, 10]));
    }

    #[test]
    fn a_batch_has_a_size_and_at_least_one_line() {
        let history = filled(12, 1);
        assert_eq!(numbers(&history.after(8, 3)), [9, 10]);
        assert_eq!(numbers(&history.after(8, 0)), [9]);
    }

    #[test]
    fn memory_is_bounded_by_size_too() {
        let mut history = History::default();
        history.start();
        let megabyte: Arc<str> = "x".repeat(1 << 20).into();
        (0..40).for_each(|_| history.push(megabyte.clone(), true));
        assert_eq!(history.after(0, usize::MAX).lines.len(), 16);
        assert_eq!(history.operations().len(), 1);
    }

    #[test]
    fn operations_are_kept_from_the_start() {
        let operations = filled(2000, 3000).operations();
        assert_eq!(operations.len(), 500);
        assert_eq!(operations.last().unwrap().0, 2000);
    }
}
