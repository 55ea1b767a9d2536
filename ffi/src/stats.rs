//! Counters.

use iothub::Error;
use iothub::io::Cause;

use crate::boundary;
use crate::cause::CauseCode;
use crate::client::Client;
use crate::handle;
use crate::status::StatusCode;

/// Which counter; see iothub_client_stats.
pub type StatCode = i32;

/// Messages that were written to a connection, each counted once.
pub const IOTHUB_STAT_SENT: StatCode = 0;
/// Messages that the hub acknowledged.
pub const IOTHUB_STAT_ACKNOWLEDGED: StatCode = 1;
/// Messages that were written again on a later connection.
pub const IOTHUB_STAT_RESENT: StatCode = 2;
/// Messages whose time to live ended first.
pub const IOTHUB_STAT_EXPIRED: StatCode = 3;
/// Messages that were given up because the client was closed.
pub const IOTHUB_STAT_DROPPED: StatCode = 4;
/// Operations that are unfinished now.
pub const IOTHUB_STAT_QUEUED: StatCode = 5;
/// Bytes that they hold.
pub const IOTHUB_STAT_QUEUED_BYTES: StatCode = 6;
/// Connections that the hub accepted.
pub const IOTHUB_STAT_CONNECTIONS: StatCode = 7;
/// Microseconds from the writing of a message or a ping to its answer, of those that were timed last; 0
/// before the first.
pub const IOTHUB_STAT_LAST_ROUND_TRIP_US: StatCode = 8;

/// A counter of the client, from when it was made. Twin requests and answers to methods are counted as
/// queued operations only, not as messages.
///
/// IOTHUB_E_ARGUMENT: no such counter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_stats(
    client: *const Client,
    stat: StatCode,
    value: *mut u64,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them; the output is checked before it is written.
    boundary::call(|| unsafe {
        let stats = handle::borrow("client", client)?.client.stats();
        let out = handle::output("value", value)?;
        let number = match stat {
            IOTHUB_STAT_SENT => stats.sent,
            IOTHUB_STAT_ACKNOWLEDGED => stats.acknowledged,
            IOTHUB_STAT_RESENT => stats.resent,
            IOTHUB_STAT_EXPIRED => stats.expired,
            IOTHUB_STAT_DROPPED => stats.dropped,
            IOTHUB_STAT_QUEUED => stats.queued as u64,
            IOTHUB_STAT_QUEUED_BYTES => stats.queued_bytes as u64,
            IOTHUB_STAT_CONNECTIONS => stats.connections,
            IOTHUB_STAT_LAST_ROUND_TRIP_US => {
                // A zero would say that there was none.
                stats.last_round_trip.map_or(0, |time| (time.as_micros() as u64).max(1))
            }
            other => return Err(Error::argument("stat", format_args!("{other} is no counter"))),
        };
        handle::write(out, number);
        Ok(())
    })
}

/// How many connections ended, or could not be made, for this cause.
///
/// IOTHUB_E_ARGUMENT: 0, or a number that is no cause; counting from 1 up to this error visits all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iothub_client_disconnects(
    client: *const Client,
    cause: CauseCode,
    count: *mut u64,
) -> StatusCode {
    // SAFETY: pointers as the header asks for them; the output is checked before it is written.
    boundary::call(|| unsafe {
        let stats = handle::borrow("client", client)?.client.stats();
        let out = handle::output("count", count)?;
        let known = Cause::ALL.into_iter().find(|known| known.number() == cause);
        let known = known.ok_or_else(|| Error::argument("cause", format_args!("{cause} is no cause")))?;
        handle::write(out, stats.disconnects(known));
        Ok(())
    })
}
