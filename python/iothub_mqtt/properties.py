"""MQTT 5 properties: always empty, because IoT Hub and this client speak MQTT 3.1.1."""

from __future__ import annotations

from typing import Any

from .exception import MQTTException


class Properties:
    """The properties of a packet, of which there are none. Setting one raises MQTTException."""

    packetType: int

    def __init__(self, packetType: int) -> None:
        object.__setattr__(self, "packetType", packetType)

    def __setattr__(self, name: str, value: Any) -> None:
        raise MQTTException(f"{name}: properties are MQTT 5; IoT Hub and this client speak MQTT 3.1.1")

    def isEmpty(self) -> bool:
        """Return True."""
        return True

    def clear(self) -> None:
        """Do nothing: there is none."""

    def json(self) -> dict[str, Any]:
        """Return an empty dict."""
        return {}

    def pack(self) -> bytes:
        """Return how MQTT 5 writes that there is none."""
        return b"\x00"

    def __str__(self) -> str:
        return "[]"

    def __repr__(self) -> str:
        return "[]"
