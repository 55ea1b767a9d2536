"""Telemetry of azure-iot-device."""

from __future__ import annotations

import json
from collections.abc import Callable

from azure.iot.device import Message

from client import Client, Clients
from iothub_mqtt.testing import Hub

MakeDevice = Callable[..., Client]


def test_every_property_arrives(hub: Hub, clients: Clients, device: MakeDevice) -> None:
    message = Message(
        json.dumps({"t": 21.5}), "id-1", content_encoding="utf-8", content_type="application/json"
    )
    message.correlation_id = "corr/1"
    message.user_id = "user 1"
    message.expiry_time_utc = "2030-01-02T03:04:05.0000000Z"
    message.set_as_security_message()
    custom = {"plain": "1", "a b": "c/d&e=f+g", "": "no name", "größe": "50 %", "empty": "", "$x": "?#"}
    message.custom_properties.update(custom)
    client = device()
    client.do("connect")
    client.do("send_message", message)
    event = hub.events.wait(event="telemetry", device="d")
    assert event["body"] == '{"t": 21.5}'
    assert event["properties"] == custom
    expected = {
        "message-id": "id-1",
        "correlation-id": "corr/1",
        "user-id": "user 1",
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "absolute-expiry-time": "2030-01-02T03:04:05.0000000Z",
        "iothub-interface-id": "urn:azureiot:Security:SecurityAgent:1",
        "iothub-connection-device-id": "d",
        "iothub-connection-auth-method": '{"scope":"device","type":"sas","issuer":"iothub"}',
        "iothub-message-source": "Telemetry",
    }
    assert expected.items() <= event["system"].items()
    connected = hub.events.wait(event="connected", device="d")
    assert (connected["protocol"], connected["clean_session"]) == (clients.protocol, False)


def test_sending_connects(hub: Hub, device: MakeDevice) -> None:
    client = device()
    client.do("send_message", "text")
    assert client.sdk.connected
    event = hub.events.wait(event="telemetry", device="d")
    assert (event["body"], event["properties"]) == ("text", {})


def test_bytes_and_sizes(hub: Hub, device: MakeDevice) -> None:
    client = device()
    body = bytes(range(256)) * 1000
    for message in (b"\xff\x00", b"", body):
        client.do("send_message", Message(message))
    events = hub.events.wait_many(3, event="telemetry", device="d")
    assert events[0]["body_base64"] == "/wA="
    assert events[1]["body"] == ""
    assert len(events[2]["body_base64"]) == (len(body) + 2) // 3 * 4


def test_many_in_order(hub: Hub, device: MakeDevice) -> None:
    client = device()
    for number in range(100):
        client.do("send_message", str(number))
    events = hub.events.wait_many(100, event="telemetry", device="d")
    assert [event["body"] for event in events] == [str(number) for number in range(100)]


def test_a_model_is_announced(hub: Hub, device: MakeDevice) -> None:
    client = device(product_info="dtmi:com:example:Gauge;1")
    client.do("send_message", "text")
    event = hub.events.wait(event="telemetry", device="d")
    assert event["system"]["dt-dataschema"] == "dtmi:com:example:Gauge;1"
    assert hub.twin("d")["modelId"] == "dtmi:com:example:Gauge;1"
