//! Everything that touches a socket, a clock or a thread.

pub mod backoff;
pub mod cause;
mod pem;
pub mod tls;
mod tls_fault;
