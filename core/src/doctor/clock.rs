//! The clock of this machine, judged. Pure: the times are given, in seconds since 1970.

use crate::hub::credential::{NEVER_SET, RELEASED};
use crate::hub::date::utc;

/// The hub takes tokens for so long after their end.
const TOLERANCE: u64 = crate::hub::sas::CLOCK_SKEW;

/// # Errors
/// It was never set.
pub(super) fn judge(now: u64) -> Result<String, String> {
    let says = utc(now);
    if now < RELEASED {
        return Err(format!(
            "{NEVER_SET}; it says {says}. Set it (NTP, or by hand): certificates and tokens have dates"
        ));
    }
    Ok(format!("it says {says}, which may be right"))
}

/// How far `now` is from what the hub's clock said at the same time.
pub(super) struct Difference {
    hub: u64,
    now: u64,
}

impl Difference {
    pub(super) fn new(hub: u64, now: u64) -> Self {
        Self { hub, now }
    }

    /// Whether it explains that a token made here is refused.
    pub(super) fn is_fatal(&self) -> bool {
        self.hub.abs_diff(self.now) > TOLERANCE
    }

    pub(super) fn words(&self) -> String {
        // A whole second, and the way of the answer.
        const NOTHING: u64 = 5;
        let Self { hub, now } = *self;
        let seconds = hub.abs_diff(now);
        if seconds <= NOTHING {
            return "the clock of this machine agrees with the hub's".to_owned();
        }
        let side = if now < hub { "behind" } else { "ahead of" };
        let advice = if self.is_fatal() { ": set it" } else { "" };
        format!(
            "the clock of this machine is {} {side} the hub's, which says {}{advice}",
            span(seconds),
            utc(hub)
        )
    }
}

/// `2 days`, in the largest unit of which there are two.
pub(super) fn span(seconds: u64) -> String {
    for (unit, length) in [("days", 86_400), ("h", 3600), ("min", 60)] {
        if seconds >= 2 * length {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} s")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_clock_before_the_release_was_never_set() {
        assert!(judge(RELEASED).unwrap().contains("2026-11-01 00:00:00 UTC"));
        for now in [0, 946_684_800, RELEASED - 1] {
            let text = judge(now).unwrap_err();
            assert!(text.contains("never set") && text.contains("Set it"), "{text}");
        }
        assert!(judge(0).unwrap_err().contains("1970-01-01 00:00:00 UTC"));
    }

    #[test]
    fn differences() {
        const NOON: u64 = 1_795_435_200;
        for (now, fatal, part) in [
            (NOON, false, "agrees"),
            (NOON - 5, false, "agrees"),
            (NOON - 6, false, "is 6 s behind the hub's, which says 2026-11-23 12:00:00 UTC"),
            (NOON + 300, false, "is 5 min ahead of the hub's"),
            (NOON + 301, true, "is 5 min ahead of the hub's, which says 2026-11-23 12:00:00 UTC: set it"),
            (NOON - 2 * 86_400, true, "is 2 days behind the hub's"),
            (NOON - 86_400, true, "is 24 h behind the hub's"),
            (0, true, "is 20780 days behind the hub's"),
        ] {
            let difference = Difference::new(NOON, now);
            assert_eq!(difference.is_fatal(), fatal, "{now}");
            assert!(difference.words().contains(part), "{}", difference.words());
        }
    }
}
