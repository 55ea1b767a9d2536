"""Modules of azure-iot-device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.iot.device import Message, MethodResponse, exceptions

from client import PATIENCE, Client, Clients
from iothub_mqtt.testing import Hub, StartHub


@pytest.fixture
def hub(start: StartHub) -> Hub:
    return start(
        devices=["d", "other"],
        modules=["d/camera", "d/filter", "other/m"],
        routes={"d/camera/frames": "d/filter/in put"},
    )


@pytest.fixture
def camera(hub: Hub, clients: Clients) -> Client:
    return clients.module(hub.connection_string("d/camera"), hub.ca_pem)


def test_telemetry_of_a_module(hub: Hub, camera: Client) -> None:
    camera.do("send_message", Message("text", "id"))
    event = hub.events.wait(event="telemetry", device="d", module="camera")
    system = event["system"]
    assert (event["body"], system["message-id"]) == ("text", "id")
    assert system["iothub-connection-module-id"] == "camera"
    assert system["iothub-connection-auth-method"] == '{"scope":"module","type":"sas","issuer":"iothub"}'


def test_an_output_reaches_an_input(hub: Hub, clients: Clients, camera: Client) -> None:
    target = clients.module(hub.connection_string("d/filter"), hub.ca_pem)
    received = target.collect("on_message_received")
    hub.events.wait(event="subscribed", device="d", module="filter")
    message = Message("frame", "id-7", content_type="image/png")
    message.custom_properties["k"] = "v w"
    camera.do("send_message_to_output", message, "frames")
    arrived = received.get(timeout=PATIENCE)
    assert (arrived.data, arrived.input_name, arrived.message_id) == (b"frame", "in put", "id-7")
    assert (arrived.content_type, arrived.custom_properties["k"]) == ("image/png", "v w")
    event = hub.events.wait(event="telemetry", device="d", module="camera")
    assert event["system"]["output-name"] == "frames"


def test_the_twin_of_a_module(hub: Hub, camera: Client) -> None:
    camera.do("patch_twin_reported_properties", {"fps": 25})
    patches = camera.collect("on_twin_desired_properties_patch_received")
    hub.events.wait(lambda e: any("desired" in f for f in e["filters"]), event="subscribed", module="camera")
    hub.update_desired("d/camera", {"fps": 30})
    assert patches.get(timeout=PATIENCE) == {"fps": 30, "$version": 2}
    assert camera.do("get_twin") == {
        "desired": {"fps": 30, "$version": 2},
        "reported": {"fps": 25, "$version": 2},
    }
    assert "fps" not in hub.twin("d")["properties"]["reported"]


def test_a_method_of_a_module(hub: Hub, camera: Client) -> None:
    requests = camera.collect("on_method_request_received")
    hub.events.wait(event="subscribed", device="d", module="camera")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(hub.call_method, "d/camera", "snap", {"n": 1}, timeout=20)
        request = requests.get(timeout=PATIENCE)
        assert (request.name, request.payload) == ("snap", {"n": 1})
        camera.do("send_method_response", MethodResponse.create_from_method_request(request, 200, "ok"))
        assert call.result(PATIENCE) == (200, "ok")


@pytest.fixture
def edge_camera(hub: Hub, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A module that was started as IoT Edge's tools for development do; only such ones may call methods."""
    text = f"{hub.connection_string('d/camera')};GatewayHostName={hub.host}"
    monkeypatch.setenv("EdgeHubConnectionString", text)
    monkeypatch.setenv("EdgeModuleCACertificateFile", str(hub.ca))
    return clients.make("IoTHubModuleClient", "create_from_edge_environment")


@pytest.mark.parametrize("target", ["d", "d/filter"])
def test_a_module_calls_a_method(hub: Hub, clients: Clients, edge_camera: Client, target: str) -> None:
    make = clients.module if "/" in target else clients.device
    callee = make(hub.connection_string(target), hub.ca_pem)
    callee.on(
        "on_method_request_received",
        lambda request: requests.submit(
            callee.do, "send_method_response", MethodResponse(request.request_id, 202, request.payload)
        ),
    )
    hub.events.wait(event="subscribed", device="d")
    call = {
        "methodName": "tune",
        "payload": {"x": [1]},
        "responseTimeoutInSeconds": 20,
        "connectTimeoutInSeconds": 1,
    }
    with ThreadPoolExecutor() as requests:
        answer = edge_camera.do("invoke_method", call, *target.split("/"))
    assert answer == {"status": 202, "payload": {"x": [1]}}


def test_a_module_with_a_wrong_key_calls_nothing(
    hub: Hub, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = hub.connection_string("d/camera").replace(hub.key("d/camera"), hub.key("d/filter"))
    monkeypatch.setenv("EdgeHubConnectionString", f"{text};GatewayHostName={hub.host}")
    monkeypatch.setenv("EdgeModuleCACertificateFile", str(hub.ca))
    impostor = clients.make("IoTHubModuleClient", "create_from_edge_environment")
    with pytest.raises(exceptions.ClientError) as caught:
        impostor.do("invoke_method", {"methodName": "tune", "payload": None}, "d")
    assert "401" in str(caught.value.__cause__)


def test_a_module_of_the_edge_environment_sends(hub: Hub, edge_camera: Client) -> None:
    edge_camera.do("send_message", "from the edge")
    assert hub.events.wait(event="telemetry", module="camera")["body"] == "from the edge"
