"""Queries and feedback through azure-iot-hub."""

from __future__ import annotations

from azure.iot.hub import IoTHubHttpRuntimeManager, IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification, Twin, TwinProperties

from iothub_mqtt.testing import Hub
from service import Refused


def test_twins_by_a_condition(registry: IoTHubRegistryManager) -> None:
    for n in range(5):
        registry.create_device_with_sas(f"q{n}", None, None, "enabled")
        twin = Twin(tags={"site": "north" if n % 2 else "south"}, properties=TwinProperties(desired={"n": n}))
        registry.update_twin(f"q{n}", twin)
    query = QuerySpecification(query="SELECT * FROM devices WHERE tags.site = 'south' AND properties.desired.n > 0")
    result = registry.query_iot_hub(query)
    assert sorted(twin.device_id for twin in result.items) == ["q2", "q4"]
    assert (result.type, result.continuation_token) == ("Twin", None)


def test_page_by_page(registry: IoTHubRegistryManager) -> None:
    for n in range(6):
        registry.create_device_with_sas(f"q{n}", None, None, "enabled")
    query = QuerySpecification(query="SELECT * FROM devices")
    seen: list[str] = []
    token = None
    pages = 0
    while pages == 0 or token:
        result = registry.query_iot_hub(query, token, 3)
        assert len(result.items) <= 3
        seen += [twin.device_id for twin in result.items]
        token = result.continuation_token
        pages += 1
    assert (sorted(seen), pages) == (["d", *(f"q{n}" for n in range(6))], 3)


def test_modules_by_a_condition(registry: IoTHubRegistryManager) -> None:
    for module in ("a", "b"):
        registry.create_module_with_sas("d", module, "", None, None)
    query = QuerySpecification(query="SELECT * FROM devices.modules WHERE moduleId = 'a'")
    (twin,) = registry.query_iot_hub(query).items
    assert (twin.device_id, twin.module_id) == ("d", "a")


def test_no_query(registry: IoTHubRegistryManager) -> None:
    with Refused(400):
        registry.query_iot_hub(QuerySpecification(query="SELECT nonsense"))


def test_feedback(trusted: Hub) -> None:
    """The SDK can settle what it received, and cannot read it: it throws the answer away."""
    runtime = IoTHubHttpRuntimeManager.from_connection_string(trusted.service_connection_string)
    assert runtime.receive_feedback_notification() is None
