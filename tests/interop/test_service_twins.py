"""Twins through azure-iot-hub."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties

from client import PATIENCE
from iothub_mqtt.testing import Hub, StartHub
from service import Refused


def patch(desired: dict[str, Any] | None = None, tags: dict[str, Any] | None = None) -> Twin:
    return Twin(properties=TwinProperties(desired=desired) if desired is not None else None, tags=tags)


def test_a_new_twin(registry: IoTHubRegistryManager) -> None:
    twin = registry.get_twin("d")
    assert (twin.device_id, twin.status, twin.connection_state) == ("d", "enabled", "Disconnected")
    assert twin.version >= 1 and twin.authentication_type == "sas"
    assert twin.properties.desired["$version"] == 1
    assert twin.properties.reported["$version"] == 1
    assert "$metadata" in twin.properties.desired
    assert twin.etag and twin.device_etag


def test_an_update_reaches_the_device(hub: Hub, registry: IoTHubRegistryManager) -> None:
    client = IoTHubDeviceClient.create_from_connection_string(
        hub.connection_string("d"), server_verification_cert=hub.ca_pem
    )
    patches: queue.Queue[Any] = queue.Queue()
    client.on_twin_desired_properties_patch_received = patches.put
    hub.events.wait(lambda e: any("desired" in f for f in e["filters"]), event="subscribed", device="d")
    before = registry.get_twin("d")
    after = registry.update_twin("d", patch({"interval": 5}, {"site": {"city": "Bern"}}), before.etag)
    assert patches.get(timeout=PATIENCE) == {"interval": 5, "$version": 2}
    assert (after.tags, after.properties.desired["interval"]) == ({"site": {"city": "Bern"}}, 5)
    assert after.etag != before.etag and after.version > before.version
    client.patch_twin_reported_properties({"interval": 5})
    client.shutdown()
    twin = registry.get_twin("d")
    assert twin.properties.reported["interval"] == 5
    assert "$lastUpdated" in twin.properties.reported["$metadata"]["interval"]


def test_null_deletes(registry: IoTHubRegistryManager) -> None:
    registry.update_twin("d", patch({"a": {"b": 1, "c": 2}}, {"x": 1, "y": 2}))
    twin = registry.update_twin("d", patch({"a": {"b": None}}, {"x": None}))
    assert (twin.properties.desired["a"], twin.tags) == ({"c": 2}, {"y": 2})


def test_replacing_leaves_nothing_behind(registry: IoTHubRegistryManager) -> None:
    registry.update_twin("d", patch({"a": 1, "b": 2}, {"x": 1}))
    twin = registry.replace_twin("d", patch({"b": 3}, {"y": 2}))
    desired = {k: v for k, v in twin.properties.desired.items() if not k.startswith("$")}
    assert (desired, twin.tags) == ({"b": 3}, {"y": 2})


@pytest.mark.parametrize("change", ["update_twin", "replace_twin"])
def test_an_old_etag_changes_nothing(registry: IoTHubRegistryManager, change: str) -> None:
    old = registry.get_twin("d").etag
    registry.update_twin("d", patch({"a": 1}), old)
    with Refused(412, "PreconditionFailed"):
        getattr(registry, change)("d", patch({"a": 2}), old)
    assert registry.get_twin("d").properties.desired["a"] == 1
    getattr(registry, change)("d", patch({"a": 3}))
    assert registry.get_twin("d").properties.desired["a"] == 3


def test_what_no_twin_takes(registry: IoTHubRegistryManager) -> None:
    for desired in ({"a.b": 1}, {"a": "x" * 5000}, {"a": [None]}):
        with Refused(400):
            registry.update_twin("d", patch(desired))
    with Refused(413, "MessageTooLarge"):
        registry.update_twin("d", patch({f"k{n}": "x" * 4000 for n in range(9)}))
    with Refused(404, "DeviceNotFound"):
        registry.get_twin("nobody")
    with Refused(404, "DeviceNotFound"):
        registry.update_twin("nobody", patch({"a": 1}))


def test_the_twin_of_a_module(start: StartHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = start(devices=["d"], modules=["d/m"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca))
    registry = IoTHubRegistryManager.from_connection_string(hub.service_connection_string)
    before = registry.get_module_twin("d", "m")
    assert (before.device_id, before.module_id) == ("d", "m")
    registry.update_module_twin("d", "m", patch({"a": 1}), before.etag)
    with Refused(412):
        registry.update_module_twin("d", "m", patch({"a": 2}), before.etag)
    registry.replace_module_twin("d", "m", patch({"b": 1}, {"t": "u"}))
    after = registry.get_module_twin("d", "m")
    assert (after.properties.desired["b"], after.tags) == (1, {"t": "u"})
    assert "a" not in after.properties.desired
