//! The rules of IoT Hub and of MQTT for topics, as Python exceptions.

use iothub_mqtt::{hub, mqtt};
use pyo3::prelude::*;

use crate::failure::refusal;

/// What the IoT Hub `host` allows the client `client_id`, which is `device` or `device/module`.
///
/// Raises ValueError where an id breaks the hub's rules.
#[pyclass(frozen, module = "iothub_mqtt._native")]
pub(crate) struct Policy(hub::policy::Policy);

#[pymethods]
impl Policy {
    #[new]
    fn new(host: &str, client_id: &str) -> PyResult<Self> {
        let (device, module) = match client_id.split_once('/') {
            Some((device, module)) => (device, Some(module)),
            None => (client_id, None),
        };
        let identity = hub::identity::Identity::new(host, device, module).map_err(|e| refusal(&e))?;
        Ok(Self(hub::policy::Policy::new(identity)))
    }

    /// Raises ValueError for what would make the hub close the connection.
    fn check_publish(&self, topic: &str, qos: u8, size: usize) -> PyResult<()> {
        self.0.check_publish(topic, qos, size).map_err(|e| refusal(&e))
    }

    /// Raises ValueError for a filter that is not documented or is another identity's.
    fn check_filter(&self, filter: &str) -> PyResult<()> {
        self.0.check_filter(filter).map_err(|e| refusal(&e))
    }
}

/// Whether `host` is a name of an IoT Hub.
#[pyfunction]
pub(crate) fn is_hub_host(host: &str) -> bool {
    hub::policy::Policy::is_hub_host(host)
}

/// Raises ValueError for a topic that MQTT does not allow.
#[pyfunction]
pub(crate) fn check_topic(topic: &str) -> PyResult<()> {
    mqtt::check_topic(topic).map_err(|e| refusal(&e))
}

/// Raises ValueError for a topic filter that MQTT does not allow.
#[pyfunction]
pub(crate) fn check_filter(filter: &str) -> PyResult<()> {
    mqtt::check_filter(filter).map_err(|e| refusal(&e))
}
