"""Twins of azure-iot-device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from azure.iot.device.exceptions import ClientError, ServiceError

from client import PATIENCE, Client
from iothub_mqtt.testing import Hub

MakeDevice = Callable[..., Client]


def test_the_whole_twin(hub: Hub, device: MakeDevice) -> None:
    hub.update_desired("d", {"interval": 5, "nested": {"a": [1, {"b": "c"}]}})
    client = device()
    client.do("patch_twin_reported_properties", {"version": "1.1", "gone": 1, "nested": {"a": None, "b": True}})
    client.do("patch_twin_reported_properties", {"gone": None})
    assert client.do("get_twin") == {
        "desired": {"interval": 5, "nested": {"a": [1, {"b": "c"}]}, "$version": 2},
        "reported": {"version": "1.1", "nested": {"b": True}, "$version": 3},
    }
    reported = hub.twin("d")["properties"]["reported"]
    assert (reported["version"], reported["$version"]) == ("1.1", 3)


def test_a_refused_report(hub: Hub, device: MakeDevice) -> None:
    client = device()
    for patch in ({"a.b": 1}, {"long": "x" * 5000}, {"list": [None]}):
        with pytest.raises(ClientError) as caught:
            client.do("patch_twin_reported_properties", patch)
        assert isinstance(caught.value.__cause__, ServiceError)
        assert "400" in str(caught.value.__cause__)
    assert client.do("get_twin")["reported"] == {"$version": 1}


def test_desired_changes(hub: Hub, device: MakeDevice) -> None:
    client = device()
    patches = client.collect("on_twin_desired_properties_patch_received")
    hub.events.wait(lambda e: any("desired" in f for f in e["filters"]), event="subscribed", device="d")
    hub.update_desired("d", {"interval": 5, "nested": {"a": 1}})
    hub.update_desired("d", {"interval": None})
    assert patches.get(timeout=PATIENCE) == {"interval": 5, "nested": {"a": 1}, "$version": 2}
    assert patches.get(timeout=PATIENCE) == {"interval": None, "$version": 3}


def test_a_change_while_away(hub: Hub, device: MakeDevice) -> None:
    """The SDK asks for the twin after a reconnect, and tells what it missed.

    Only where get_twin has subscribed to the answers before the handler is set: otherwise the SDK asks at its first
    connect without a subscription, gets no answer, which IoT Hub sends to subscribers alone, and never asks again.
    """
    client = device()
    client.do("get_twin")
    patches = client.collect("on_twin_desired_properties_patch_received")
    hub.events.wait(lambda e: any("desired" in f for f in e["filters"]), event="subscribed", device="d")
    client.do("disconnect")
    hub.update_desired("d", {"interval": 7})
    client.do("connect")
    assert patches.get(timeout=PATIENCE) == {"interval": 7, "$version": 2}


def test_a_throttled_twin(hub: Hub, device: MakeDevice) -> None:
    client = device()
    client.do("get_twin")
    hub.fault("throttle", "d")
    with pytest.raises(ClientError) as caught:
        client.do("get_twin")
    assert "429" in str(caught.value.__cause__)
    client.do("get_twin")
