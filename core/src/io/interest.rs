//! What a host waits for on a descriptor.

/// Readable, writable or both; the host also wakes on errors and hang-ups, as poll and epoll always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

impl Interest {
    pub const READ: Self = Self { read: true, write: false };
    pub const WRITE: Self = Self { read: false, write: true };
}
