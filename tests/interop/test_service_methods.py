"""Direct methods through azure-iot-hub."""

from __future__ import annotations

from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, MethodRequest, MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from iothub_mqtt.testing import Hub, StartHub
from service import Refused


def answer_with_what_came(client: Any) -> None:
    def answer(request: MethodRequest) -> None:
        result = {"name": request.name, "was": request.payload}
        client.send_method_response(MethodResponse.create_from_method_request(request, 203, result))

    client.on_method_request_received = answer


@pytest.mark.parametrize(("payload", "arrives"), [({"n": 1}, {"n": 1}), (None, ""), ("text", "text"), (3, 3)])
def test_a_device_answers(hub: Hub, registry: IoTHubRegistryManager, payload: Any, arrives: Any) -> None:
    client = IoTHubDeviceClient.create_from_connection_string(
        hub.connection_string("d"), server_verification_cert=hub.ca_pem
    )
    answer_with_what_came(client)
    hub.events.wait(event="subscribed", device="d")
    call = CloudToDeviceMethod(
        method_name="reboot", payload=payload, response_timeout_in_seconds=20, connect_timeout_in_seconds=5
    )
    result = registry.invoke_device_method("d", call)
    assert (result.status, result.payload) == (203, {"name": "reboot", "was": arrives})
    client.shutdown()


def test_a_module_answers(start: StartHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = start(devices=["d"], modules=["d/m"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca))
    registry = IoTHubRegistryManager.from_connection_string(hub.service_connection_string)
    client = IoTHubModuleClient.create_from_connection_string(
        hub.connection_string("d/m"), server_verification_cert=hub.ca_pem
    )
    answer_with_what_came(client)
    hub.events.wait(event="subscribed", device="d", module="m")
    result = registry.invoke_device_module_method("d", "m", CloudToDeviceMethod(method_name="x", payload=[1]))
    assert (result.status, result.payload) == (203, {"name": "x", "was": [1]})
    client.shutdown()


def test_nobody_answers(hub: Hub, registry: IoTHubRegistryManager) -> None:
    with Refused(404, "DeviceNotOnline"):
        registry.invoke_device_method("d", CloudToDeviceMethod(method_name="x", payload=1))
    with Refused(404, "DeviceNotFound"):
        registry.invoke_device_method("nobody", CloudToDeviceMethod(method_name="x", payload=1))
    client = IoTHubDeviceClient.create_from_connection_string(
        hub.connection_string("d"), server_verification_cert=hub.ca_pem
    )
    client.on_method_request_received = lambda request: None
    hub.events.wait(event="subscribed", device="d")
    with Refused(504, "GatewayTimeout"):
        call = CloudToDeviceMethod(method_name="x", payload=1, response_timeout_in_seconds=5)
        registry.invoke_device_method("d", call)
    client.shutdown()


def test_a_call_that_may_not_be(registry: IoTHubRegistryManager) -> None:
    with Refused(400):
        call = CloudToDeviceMethod(method_name="x", payload=1, response_timeout_in_seconds=4)
        registry.invoke_device_method("d", call)
