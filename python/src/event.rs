//! Events as tuples: a number that says which, and what belongs to it.

use iothub_mqtt::mqtt::{Event, Outcome, QoS};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

const CONNECTED: u8 = 1;
const PUBLISHED: u8 = 2;
const SUBSCRIBED: u8 = 3;
const UNSUBSCRIBED: u8 = 4;
const MESSAGE: u8 = 5;
const LOST: u8 = 6;

/// What SUBACK says of a filter that the server refused (MQTT 3.1.1 section 3.9.3).
const NOT_GRANTED: u8 = 0x80;

pub(crate) fn tuple(py: Python<'_>, event: Event<()>) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Connected { session_present } => (CONNECTED, session_present).into_pyobject(py),
        Event::Done { id, outcome, tag: () } => match outcome {
            Ok(Outcome::Published) => (PUBLISHED, id).into_pyobject(py),
            Ok(Outcome::Subscribed(granted)) => {
                let codes = granted.iter().map(|qos| qos.map_or(NOT_GRANTED, |qos: QoS| qos as u8));
                (SUBSCRIBED, id, PyTuple::new(py, codes.collect::<Vec<_>>())?).into_pyobject(py)
            }
            Ok(Outcome::Unsubscribed) => (UNSUBSCRIBED, id).into_pyobject(py),
            Err(error) => (LOST, id, error.detail()).into_pyobject(py),
        },
        Event::Message(message) => (
            MESSAGE,
            PyBytes::new(py, message.topic.as_bytes()),
            PyBytes::new(py, &message.payload),
            message.qos as u8,
            message.retain,
            message.dup,
            message.id,
            message.delivery.map(|delivery| delivery.0),
        )
            .into_pyobject(py),
    }
}
