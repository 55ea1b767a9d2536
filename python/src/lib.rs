//! The native half of `iothub_mqtt`: MQTT and TLS on a descriptor that Python opens and closes.
//! Conversion only; names, defaults and callbacks are Python's.

mod event;
mod failure;
mod policy;
mod session;
mod tls;

use pyo3::prelude::*;

/// MQTT 3.1.1 and TLS without waiting, for the package `iothub_mqtt`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::failure::{Fault, Refused};
    #[pymodule_export]
    use super::policy::{Policy, check_filter, check_topic, is_hub_host};
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::tls::Tls;
}
