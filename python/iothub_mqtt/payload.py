"""Payloads and QoS as the caller gives them."""

from __future__ import annotations

from typing import Union

PayloadType = Union[str, bytes, bytearray, int, float, None]

MAX_PAYLOAD = 268_435_455
"""Bytes that MQTT can carry at most (MQTT 3.1.1 section 2.2.3)."""
MAX_WILL = 65_535
"""Bytes that a will can have at most (MQTT 3.1.1 section 1.5.3)."""


def encode(payload: PayloadType) -> bytes:
    """Return the bytes to send. Raises TypeError, and ValueError for more than MQTT can carry."""
    if isinstance(payload, bytes):
        data = payload
    elif isinstance(payload, str):
        data = payload.encode()
    elif isinstance(payload, bytearray):
        data = bytes(payload)
    elif isinstance(payload, (int, float)):
        data = str(payload).encode()
    elif payload is None:
        data = b""
    else:
        raise TypeError("payload must be a string, bytearray, int, float or None.")
    if len(data) > MAX_PAYLOAD:
        raise ValueError("Payload too large.")
    return data


def check_qos(qos: int) -> None:
    """Raise ValueError for what is no QoS."""
    if not 0 <= qos <= 2:
        raise ValueError("Invalid QoS level.")
