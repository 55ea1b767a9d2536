//! When queued messages end by their time to live.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Sequence numbers by the time at which they expire. What completes earlier stays in until it
/// reaches the top or there are too many of them: taking it out would cost more.
#[derive(Default)]
pub(super) struct Expiries {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Expiries {
    /// `most` is how many may still matter, `matters` tells which.
    pub(super) fn add(&mut self, at: Instant, seq: u64, most: usize, matters: impl Fn(u64) -> bool) {
        if self.heap.len() > 2 * most + 64 {
            self.heap.retain(|Reverse((_, seq))| matters(*seq));
        }
        self.heap.push(Reverse((at, seq)));
    }

    /// The earliest that matters.
    pub(super) fn next(&mut self, matters: impl Fn(u64) -> bool) -> Option<Instant> {
        while let Some(Reverse((at, seq))) = self.heap.peek() {
            if matters(*seq) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes out the earliest, if its time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u64> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, seq))| seq)
    }

    pub(super) fn clear(&mut self) {
        self.heap = BinaryHeap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_no_longer_matters_is_forgotten_in_time() {
        let start = Instant::now();
        let mut expiries = Expiries::default();
        for seq in 0..10_000 {
            expiries.add(start + Duration::from_secs(seq), seq, 1, |older| older == seq - 1);
        }
        assert!(expiries.heap.len() < 100);
        assert_eq!(expiries.next(|seq| seq == 9_999), Some(start + Duration::from_secs(9_999)));
    }

    #[test]
    fn the_earliest_comes_first_and_not_before_its_time() {
        let start = Instant::now();
        let mut expiries = Expiries::default();
        for (seq, seconds) in [(1, 30), (2, 10), (3, 20)] {
            expiries.add(start + Duration::from_secs(seconds), seq, 3, |_| true);
        }
        assert_eq!(expiries.pop_due(start + Duration::from_secs(9)), None);
        assert_eq!(expiries.pop_due(start + Duration::from_secs(20)), Some(2));
        assert_eq!(expiries.pop_due(start + Duration::from_secs(20)), Some(3));
        assert_eq!(expiries.pop_due(start + Duration::from_secs(20)), None);
    }
}
