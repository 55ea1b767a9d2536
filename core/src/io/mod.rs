//! Everything that touches a socket, a clock or a thread.

pub mod backoff;
pub mod cause;
pub mod dial;
pub mod interest;
mod pem;
mod resolve;
pub mod tls;
mod tls_fault;
