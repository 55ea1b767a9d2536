"""Direct methods of azure-iot-device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.iot.device import MethodRequest, MethodResponse

from client import PATIENCE, Client
from iothub_mqtt.testing import BackendError, Hub

MakeDevice = Callable[..., Client]


def call_in_background(pool: ThreadPoolExecutor, hub: Hub, name: str, payload: Any = None) -> Any:
    return pool.submit(hub.call_method, "d", name, payload, timeout=20, connect_timeout=10)


@pytest.mark.parametrize("payload", [{"delay": 5, "why": "größe"}, [1, "two", None], "text", 7, None, {}])
def test_a_method_and_its_answer(hub: Hub, device: MakeDevice, payload: Any) -> None:
    client = device()
    requests = client.collect("on_method_request_received")
    hub.events.wait(event="subscribed", device="d")
    with ThreadPoolExecutor() as pool:
        call = call_in_background(pool, hub, "re-boot.now", payload)
        request: MethodRequest = requests.get(timeout=PATIENCE)
        assert (request.name, request.payload) == ("re-boot.now", payload)
        client.do("send_method_response", MethodResponse.create_from_method_request(request, 207, payload))
        assert call.result(PATIENCE) == (207, payload)
    event = hub.events.wait(event="method", device="d")
    assert (event["name"], event["status"]) == ("re-boot.now", 207)


def test_answers_in_another_order(hub: Hub, device: MakeDevice) -> None:
    client = device()
    requests = client.collect("on_method_request_received")
    hub.events.wait(event="subscribed", device="d")
    with ThreadPoolExecutor(5) as pool:
        calls = [call_in_background(pool, hub, "m", number) for number in range(5)]
        for request in reversed([requests.get(timeout=PATIENCE) for _ in calls]):
            answer = MethodResponse(request.request_id, 200, {"was": request.payload})
            client.do("send_method_response", answer)
        assert [call.result(PATIENCE) for call in calls] == [(200, {"was": n}) for n in range(5)]


def test_nobody_is_there(hub: Hub, device: MakeDevice) -> None:
    with pytest.raises(BackendError) as caught:
        hub.call_method("d", "m")
    assert caught.value.status == 404
    with ThreadPoolExecutor() as pool:
        call = call_in_background(pool, hub, "m")
        client = device()
        answered = threading.Event()

        def answer(request: MethodRequest) -> None:
            # The asyncio client may not be asked to send from inside this handler by a blocking call.
            pool.submit(client.do, "send_method_response", MethodResponse(request.request_id, 200, None))
            answered.set()

        client.on("on_method_request_received", answer)
        assert call.result(PATIENCE) == (200, None)
        assert answered.is_set()
