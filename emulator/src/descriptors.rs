//! How many sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the process's own limit to the highest that it is allowed: the usual 1024 are for programs
/// that call `select`, and a fleet is larger. Without it only the number of connections suffers.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
