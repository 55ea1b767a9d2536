//! One core for the client and the hub: without wake-ups across cores, which cost more than a message and differ from
//! machine to machine, the spread is a few percent.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// Binds this thread, and so every thread and process that it starts, to one core: to `wanted`, or to the last that
/// this process may use, since the first one serves most interrupts. Returns the core.
///
/// # Errors
/// There is no such core, or this process may not use it.
pub fn bind(wanted: Option<usize>) -> Result<usize, Failure> {
    let allowed = sched_getaffinity(None)?;
    let core = match wanted {
        Some(core) if core < CpuSet::MAX_CPU && allowed.is_set(core) => core,
        Some(core) => return Err(format!("--cpu {core}: this process may not use that core").into()),
        None => (0..CpuSet::MAX_CPU).rev().find(|&core| allowed.is_set(core)).ok_or("no core to run on")?,
    };
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one)?;
    Ok(core)
}
