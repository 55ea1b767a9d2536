//! How long to wait before the next connection attempt; pure.

use std::time::Duration;

use super::cause::Retry;

/// The waits between connection attempts of one client.
///
/// [`Retry::Soon`]: the first attempt at once, then `first`, doubling up to `most`, each wait drawn
/// between half of it and all of it. [`Retry::Slow`]: from `slow_first`, doubling, each wait drawn
/// between the value and half as much again, never above `slow_most`. The draw keeps a fleet that
/// lost the same hub from coming back in step.
///
/// The two sequences count on their own, and both start again after a connection that was worth it;
/// see [`Backoff::ended`].
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    slow_first: Duration,
    slow_most: Duration,
    soon_failures: u32,
    slow_failures: u32,
    last: Duration,
}

/// Below this a wait of zero would turn a dead network into a busy loop.
const LEAST: Duration = Duration::from_millis(10);

/// Keeps the arithmetic in range whatever a caller asks for; more than a century.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// A connection shorter than this proves nothing: a peer that accepts and closes looks the same.
const STABLE: Duration = Duration::from_secs(10);

impl Default for Backoff {
    /// 1 second to 2 minutes, slowly 1 to 10 minutes.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(120))
    }
}

impl Backoff {
    /// `first` is at least 10 ms and `most` at least `first`; smaller values are raised.
    pub fn new(first: Duration, most: Duration) -> Self {
        let first = first.clamp(LEAST, LONGEST);
        Self {
            first,
            most: most.clamp(first, LONGEST),
            slow_first: Duration::from_secs(60),
            slow_most: Duration::from_secs(600),
            soon_failures: 0,
            slow_failures: 0,
            last: Duration::ZERO,
        }
    }

    /// Other limits for [`Retry::Slow`]; tests and local hubs have no minute to wait.
    #[must_use]
    pub fn with_slow(mut self, first: Duration, most: Duration) -> Self {
        self.slow_first = first.clamp(LEAST, LONGEST);
        self.slow_most = most.clamp(self.slow_first, LONGEST);
        self
    }

    /// The wait before the next attempt; `None` for [`Retry::Never`].
    pub fn next(&mut self, retry: Retry, rng: &mut fastrand::Rng) -> Option<Duration> {
        let wait = match retry {
            Retry::Never => return None,
            Retry::Soon => {
                let failures = self.soon_failures;
                self.soon_failures = failures.saturating_add(1);
                match failures.checked_sub(1) {
                    None => Duration::ZERO,
                    Some(doublings) => {
                        let full = doubled(self.first, doublings).min(self.most);
                        full.mul_f64(0.5 + 0.5 * rng.f64())
                    }
                }
            }
            Retry::Slow => {
                let full = doubled(self.slow_first, self.slow_failures);
                self.slow_failures = self.slow_failures.saturating_add(1);
                // The base stops at two thirds of the limit, so that the draw stays wide there.
                let base = full.min(self.slow_most.mul_f64(2.0 / 3.0)).max(self.slow_first);
                base.mul_f64(1.0 + 0.5 * rng.f64()).min(self.slow_most)
            }
        };
        self.last = wait;
        Some(wait)
    }

    /// A connection that the hub had accepted ended after `up`.
    ///
    /// The waits start again if it lasted at least 10 seconds and as long as the wait before it.
    /// A shorter one counts as a failure like any other: a peer that accepts and hangs up would
    /// otherwise be called at once, for ever.
    pub fn ended(&mut self, up: Duration) {
        if up >= STABLE.max(self.last) {
            self.reset();
        }
    }

    /// Starts again, as for a new client: the application asked to connect, or the credentials are
    /// being renewed.
    pub fn reset(&mut self) {
        self.soon_failures = 0;
        self.slow_failures = 0;
        self.last = Duration::ZERO;
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waits(backoff: &mut Backoff, retry: Retry, count: usize, seed: u64) -> Vec<Duration> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..count).filter_map(|_| backoff.next(retry, &mut rng)).collect()
    }

    fn within(wait: Duration, low: f64, high: f64) -> bool {
        (low..=high).contains(&wait.as_secs_f64())
    }

    #[test]
    fn network_waits_double_from_one_second_to_two_minutes() {
        let waits = waits(&mut Backoff::default(), Retry::Soon, 12, 1);
        assert_eq!(waits[0], Duration::ZERO);
        for (wait, full) in waits[1..].iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0, 120.0])
        {
            assert!(within(*wait, full / 2.0, full), "{wait:?} of {full}");
        }
    }

    #[test]
    fn slow_waits_are_a_minute_and_more() {
        let waits = waits(&mut Backoff::default(), Retry::Slow, 6, 2);
        for (wait, base) in waits.iter().zip([60.0, 120.0, 240.0, 400.0, 400.0, 400.0]) {
            assert!(within(*wait, base, base * 1.5), "{wait:?} of {base}");
        }
    }

    #[test]
    fn nothing_cures_a_contradiction() {
        assert!(waits(&mut Backoff::default(), Retry::Never, 3, 3).is_empty());
    }

    #[test]
    fn the_waits_differ_between_clients() {
        let first = waits(&mut Backoff::default(), Retry::Soon, 8, 4);
        assert_ne!(first[1..], waits(&mut Backoff::default(), Retry::Soon, 8, 5)[1..]);
    }

    #[test]
    fn a_peer_that_accepts_and_hangs_up_is_not_called_without_end() {
        let mut backoff = Backoff::default();
        let mut rng = fastrand::Rng::with_seed(6);
        let mut total = Duration::ZERO;
        for _ in 0..20 {
            total += backoff.next(Retry::Soon, &mut rng).unwrap_or_default();
            backoff.ended(Duration::from_secs(1));
        }
        assert!(total > Duration::from_secs(600), "{total:?}");
    }

    #[test]
    fn a_stable_connection_starts_again() {
        let mut backoff = Backoff::default();
        let mut rng = fastrand::Rng::with_seed(7);
        let last = waits(&mut backoff, Retry::Soon, 9, 7)[8];
        backoff.ended(last - Duration::from_millis(1));
        assert_ne!(backoff.next(Retry::Soon, &mut rng), Some(Duration::ZERO));
        backoff.ended(Duration::from_secs(121));
        assert_eq!(backoff.next(Retry::Soon, &mut rng), Some(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn waits_stay_in_range_and_never_shrink_below_half(
            seed: u64,
            first_ms in 0_u64..10_000,
            most_ms in 0_u64..1_000_000,
            count in 2_usize..100,
        ) {
            let mut backoff =
                Backoff::new(Duration::from_millis(first_ms), Duration::from_millis(most_ms));
            let waits = waits(&mut backoff, Retry::Soon, count, seed);
            let first = Duration::from_millis(first_ms).max(LEAST);
            let most = Duration::from_millis(most_ms).max(first);
            prop_assert_eq!(waits[0], Duration::ZERO);
            for pair in waits[1..].windows(2) {
                prop_assert!(pair[1] >= pair[0] / 2);
            }
            for wait in &waits[1..] {
                prop_assert!(*wait >= first / 2 && *wait <= most);
            }
        }

        #[test]
        fn any_mixture_is_bounded_and_never_spins(
            seed: u64,
            steps in prop::collection::vec(
                (prop::bool::ANY, prop::option::of(0_u64..400)), 1..200),
        ) {
            let mut backoff = Backoff::default();
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut immediate = 0_u64;
            let mut stable = 1_u64;
            for (slow, up) in steps {
                let retry = if slow { Retry::Slow } else { Retry::Soon };
                let wait = backoff.next(retry, &mut rng).unwrap_or_default();
                prop_assert!(wait <= Duration::from_secs(600));
                prop_assert!(!slow || wait >= Duration::from_secs(60));
                immediate += u64::from(wait.is_zero());
                if let Some(up) = up {
                    stable += u64::from(up >= 10);
                    backoff.ended(Duration::from_secs(up));
                }
            }
            prop_assert!(immediate <= stable);
        }

        #[test]
        fn extreme_limits_do_not_panic(seed: u64, count in 1_usize..80) {
            let mut backoff = Backoff::new(Duration::MAX, Duration::MAX)
                .with_slow(Duration::from_secs(u64::MAX / 4), Duration::MAX);
            for retry in [Retry::Soon, Retry::Slow] {
                prop_assert_eq!(waits(&mut backoff, retry, count, seed).len(), count);
            }
        }
    }
}
