//! Errors of the core as Python exceptions.

use iothub_mqtt::{Error, ErrorKind, io};
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    iothub_mqtt._native,
    Fault,
    PyException,
    "The connection failed or ended. args: the cause, one word, and the detail for people."
);
pyo3::create_exception!(
    iothub_mqtt._native,
    Refused,
    PyException,
    "Nothing was queued, for a reason that may pass. args: 'full' or 'state', and the detail for people."
);

pub(crate) fn fault(fault: &io::Fault) -> PyErr {
    Fault::new_err((fault.cause.name(), fault.detail.clone()))
}

/// A wrong value is a `ValueError`; what the state of the client refuses is a `Refused`.
pub(crate) fn refusal(error: &Error) -> PyErr {
    let detail = error.detail().to_owned();
    match error.kind() {
        ErrorKind::Argument | ErrorKind::TooLarge | ErrorKind::Unsupported => PyValueError::new_err(detail),
        ErrorKind::Full => Refused::new_err(("full", detail)),
        ErrorKind::State | ErrorKind::Closed | ErrorKind::NotFound => Refused::new_err(("state", detail)),
        _ => PyRuntimeError::new_err(detail),
    }
}

/// The wire holds two queues or a descriptor, never both; a verb of the other kind is a mistake of the facade.
pub(crate) fn wrong_carrier() -> PyErr {
    PyRuntimeError::new_err("this connection has no such carrier")
}
