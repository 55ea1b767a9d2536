"""Cloud-to-device messages of azure-iot-device."""

from __future__ import annotations

from collections.abc import Callable

from client import PATIENCE, Client
from iothub_mqtt.testing import Hub

MakeDevice = Callable[..., Client]

HEADERS = {
    "iothub-messageid": "m-1",
    "iothub-correlationid": "c/1",
    "iothub-userid": "u 1",
    "iothub-ack": "full",
    "content-type": "text/plain",
    "content-encoding": "utf-8",
}


def test_every_property_arrives(hub: Hub, device: MakeDevice) -> None:
    client = device()
    received = client.collect("on_message_received")
    hub.events.wait(event="subscribed", device="d")
    hub.send("d", "open the valve", properties={"zone": "2", "note": "a b&c=d"}, headers=HEADERS)
    message = received.get(timeout=PATIENCE)
    assert message.data == b"open the valve"
    assert message.custom_properties == {"zone": "2", "note": "a b&c=d"}
    assert (message.message_id, message.correlation_id, message.user_id) == ("m-1", "c/1", "u 1")
    assert (message.content_type, message.content_encoding) == ("text/plain", "utf-8")
    assert message.ack == "full"
    hub.events.wait(event="c2d", device="d", state="completed", message_id="m-1")


def test_messages_wait_for_the_device(hub: Hub, device: MakeDevice) -> None:
    for number in range(5):
        hub.send("d", str(number), headers={"iothub-messageid": f"m-{number}"})
    client = device()
    received = client.collect("on_message_received")
    assert [received.get(timeout=PATIENCE).data for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    hub.events.wait_many(5, event="c2d", device="d", state="completed")


def test_messages_come_again_after_a_disconnect(hub: Hub, device: MakeDevice) -> None:
    client = device()
    received = client.collect("on_message_received")
    hub.events.wait(event="subscribed", device="d")
    client.do("disconnect")
    hub.events.wait(event="disconnected", device="d")
    hub.send("d", "while away")
    client.do("connect")
    assert received.get(timeout=PATIENCE).data == b"while away"
    hub.events.wait(event="c2d", device="d", state="completed")
    connected = hub.events.wait_many(2, event="connected", device="d")
    assert [event["session_present"] for event in connected] == [False, True]


def test_expiry_is_told(hub: Hub, device: MakeDevice) -> None:
    client = device()
    received = client.collect("on_message_received")
    hub.events.wait(event="subscribed", device="d")
    hub.send("d", "soon", headers={"iothub-expiry": "2090-01-02T03:04:05Z"})
    assert received.get(timeout=PATIENCE).expiry_time_utc == "2090-01-02T03:04:05.0000000Z"
