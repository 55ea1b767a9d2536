"""Exceptions of the Paho face."""

from __future__ import annotations


class MQTTException(Exception):
    """A packet or an option that this client cannot take."""


class MalformedPacket(MQTTException):
    """A packet that breaks MQTT."""


class WebsocketConnectionError(ConnectionError):
    """The server did not accept the WebSocket."""
