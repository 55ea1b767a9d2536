//! The wall clock, as text in IoT Hub's forms.

use jiff::Timestamp;

/// How the service API writes that something has not happened yet.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// Now in UTC, as [`milliseconds_text`].
pub(crate) fn now_text() -> String {
    milliseconds_text(Timestamp::now())
}

/// In UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
pub(crate) fn milliseconds_text(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// .NET's round-trip form, always seven digits, which the C# SDK insists on in `$.exp`.
pub(crate) fn round_trip_text(time: Timestamp) -> String {
    format!("{time:.7}")
}
