"""Digital twins of IoT Plug and Play through azure-iot-hub."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient, MethodRequest, MethodResponse
from azure.iot.hub import DigitalTwinClient

from client import PATIENCE
from iothub_mqtt.testing import Hub
from service import Refused

MODEL = "dtmi:com:example:TemperatureController;2"


@pytest.fixture
def twins(trusted: Hub) -> DigitalTwinClient:
    return DigitalTwinClient.from_connection_string(trusted.service_connection_string)


@pytest.fixture
def controller(hub: Hub) -> Any:
    client = IoTHubDeviceClient.create_from_connection_string(
        hub.connection_string("d"), server_verification_cert=hub.ca_pem, product_info=MODEL
    )
    client.connect()
    yield client
    client.shutdown()


def test_a_view_and_a_change(hub: Hub, twins: DigitalTwinClient, controller: Any) -> None:
    patches: queue.Queue[Any] = queue.Queue()
    controller.on_twin_desired_properties_patch_received = patches.put
    hub.events.wait(lambda e: any("desired" in f for f in e["filters"]), event="subscribed", device="d")
    operations = [
        {"op": "add", "path": "/interval", "value": 5},
        {"op": "replace", "path": "/thermostat1/target", "value": 21},
    ]
    assert twins.update_digital_twin("d", operations) is None
    desired = patches.get(timeout=PATIENCE)
    assert desired == {"interval": 5, "thermostat1": {"__t": "c", "target": 21}, "$version": 2}
    controller.patch_twin_reported_properties(
        {
            "serial": "x",
            "thermostat1": {"__t": "c", "target": {"value": 21, "ac": 200, "av": 2, "ad": "done"}},
        }
    )
    view = twins.get_digital_twin("d")
    assert (view["$dtId"], view["$metadata"]["$model"], view["serial"]) == ("d", MODEL, "x")
    assert view["$metadata"]["interval"]["desiredValue"] == 5
    thermostat = view["thermostat1"]
    assert thermostat["target"] == 21
    state = thermostat["$metadata"]["target"]
    assert (state["desiredValue"], state["ackCode"], state["ackVersion"]) == (21, 200, 2)
    assert state["lastUpdateTime"]


def test_commands(hub: Hub, twins: DigitalTwinClient, controller: Any) -> None:
    def answer(request: MethodRequest) -> None:
        result = {"name": request.name, "was": request.payload}
        controller.send_method_response(MethodResponse(request.request_id, 202, result))

    controller.on_method_request_received = answer
    hub.events.wait(event="subscribed", device="d")
    assert twins.invoke_command("d", "reboot", {"delay": 3}, 5, 20) == {"name": "reboot", "was": {"delay": 3}}
    result = twins.invoke_component_command("d", "thermostat1", "report", "2026-01-01", 5, 20)
    assert result == {"name": "thermostat1*report", "was": "2026-01-01"}


def test_refusals(twins: DigitalTwinClient) -> None:
    with Refused(404, "DeviceNotFound"):
        twins.get_digital_twin("nobody")
    with Refused(404, "DeviceNotOnline"):
        twins.invoke_command("d", "reboot", "now")
    with Refused(400):
        twins.update_digital_twin("d", [{"op": "move", "path": "/a", "from": "/b"}])
    with Refused(412):
        twins.update_digital_twin("d", [{"op": "add", "path": "/a", "value": 1}], '"b2xk"')
