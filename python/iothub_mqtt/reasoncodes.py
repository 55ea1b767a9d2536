"""Reason codes (MQTT 5 section 2.4), which callbacks of version 2 are given on MQTT 3.1.1, too."""

from __future__ import annotations

import functools
from typing import Any

from .packettypes import PacketTypes

_ANSWERS = (PacketTypes.CONNACK, PacketTypes.DISCONNECT)
_ACKS = (PacketTypes.PUBACK, PacketTypes.PUBREC)
_RECEIPTS = (PacketTypes.PUBREL, PacketTypes.PUBCOMP)
_SUBS = (PacketTypes.SUBACK, PacketTypes.UNSUBACK)
_DONE = (PacketTypes.CONNACK, *_ACKS, *_RECEIPTS, PacketTypes.UNSUBACK, PacketTypes.AUTH)
_SUBACK = (PacketTypes.SUBACK,)
_CONNACK = (PacketTypes.CONNACK,)
_DISCONNECT = (PacketTypes.DISCONNECT,)
_COMMON = (*_ANSWERS, *_ACKS, *_SUBS)

_NAMES: dict[int, dict[str, tuple[int, ...]]] = {
    0: {"Success": _DONE, "Normal disconnection": _DISCONNECT, "Granted QoS 0": _SUBACK},
    1: {"Granted QoS 1": _SUBACK},
    2: {"Granted QoS 2": _SUBACK},
    4: {"Disconnect with will message": _DISCONNECT},
    16: {"No matching subscribers": _ACKS},
    17: {"No subscription found": (PacketTypes.UNSUBACK,)},
    24: {"Continue authentication": (PacketTypes.AUTH,)},
    25: {"Re-authenticate": (PacketTypes.AUTH,)},
    128: {"Unspecified error": _COMMON},
    129: {"Malformed packet": _ANSWERS},
    130: {"Protocol error": _ANSWERS},
    131: {"Implementation specific error": _COMMON},
    132: {"Unsupported protocol version": _CONNACK},
    133: {"Client identifier not valid": _CONNACK},
    134: {"Bad user name or password": _CONNACK},
    135: {"Not authorized": _COMMON},
    136: {"Server unavailable": _CONNACK},
    137: {"Server busy": _ANSWERS},
    138: {"Banned": _CONNACK},
    139: {"Server shutting down": _DISCONNECT},
    140: {"Bad authentication method": _ANSWERS},
    141: {"Keep alive timeout": _DISCONNECT},
    142: {"Session taken over": _DISCONNECT},
    143: {"Topic filter invalid": (*_SUBS, PacketTypes.DISCONNECT)},
    144: {"Topic name invalid": (*_ANSWERS, *_ACKS)},
    145: {"Packet identifier in use": (*_ACKS, *_SUBS)},
    146: {"Packet identifier not found": _RECEIPTS},
    147: {"Receive maximum exceeded": _DISCONNECT},
    148: {"Topic alias invalid": _DISCONNECT},
    149: {"Packet too large": _ANSWERS},
    150: {"Message rate too high": _DISCONNECT},
    151: {"Quota exceeded": (*_ANSWERS, *_ACKS, PacketTypes.SUBACK)},
    152: {"Administrative action": _DISCONNECT},
    153: {"Payload format invalid": (*_ACKS, PacketTypes.DISCONNECT)},
    154: {"Retain not supported": _ANSWERS},
    155: {"QoS not supported": _ANSWERS},
    156: {"Use another server": _ANSWERS},
    157: {"Server moved": _ANSWERS},
    158: {"Shared subscription not supported": (PacketTypes.SUBACK, PacketTypes.DISCONNECT)},
    159: {"Connection rate exceeded": _ANSWERS},
    160: {"Maximum connect time": _DISCONNECT},
    161: {"Subscription identifiers not supported": (PacketTypes.SUBACK, PacketTypes.DISCONNECT)},
    162: {"Wildcard subscription not supported": (PacketTypes.SUBACK, PacketTypes.DISCONNECT)},
}


@functools.total_ordering
class ReasonCode:
    """A reason code of one packet type; equal to its number, to its name and to a like code."""

    packetType: int
    value: int

    def __init__(self, packetType: int, aName: str = "Success", identifier: int = -1) -> None:
        """Take the code from `identifier`, or from `aName` where that is -1.

        Raises KeyError for a name or number that `packetType` does not have.
        """
        self.packetType = packetType
        if identifier == -1:
            if packetType == PacketTypes.DISCONNECT and aName == "Success":
                aName = "Normal disconnection"
            self.set(aName)
        else:
            self.value = identifier
            self.getName()

    @property
    def names(self) -> dict[int, dict[str, tuple[int, ...]]]:
        """Every code, its names, and the packet types that each name is for."""
        return _NAMES

    def getName(self) -> str:
        """Return the name of the code for its packet type."""
        for name, packets in _NAMES.get(self.value, {}).items():
            if self.packetType in packets:
                return name
        raise KeyError(f"reason code {self.value} is not for packet type {self.packetType}")

    def getId(self, name: str) -> int:
        """Return the number of `name` for this packet type. Raises KeyError."""
        for value, names in _NAMES.items():
            if self.packetType in names.get(name, ()):
                return value
        raise KeyError(f"Reason code name not found: {name}")

    def set(self, name: str) -> None:
        """Become the code of this name. Raises KeyError."""
        self.value = self.getId(name)

    @property
    def is_failure(self) -> bool:
        """Whether the code is an error."""
        return self.value >= 0x80

    def json(self) -> str:
        """Return the name."""
        return self.getName()

    def pack(self) -> bytearray:
        """Return the code as the byte that MQTT 5 sends."""
        return bytearray([self.value])

    def unpack(self, buffer: bytes | bytearray) -> int:
        """Become the first byte of `buffer`; return how many bytes were used. Raises KeyError."""
        self.value = buffer[0]
        self.getName()
        return 1

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return self.value == other
        if isinstance(other, str):
            return other == str(self)
        if isinstance(other, ReasonCode):
            return self.value == other.value
        return NotImplemented

    def __lt__(self, other: Any) -> bool:
        if isinstance(other, int):
            return self.value < other
        if isinstance(other, ReasonCode):
            return self.value < other.value
        return NotImplemented

    # Equal to a number and to a text, so that no hash fits both; the number's is the useful one.
    def __hash__(self) -> int:
        return hash(self.value)

    def __str__(self) -> str:
        return self.getName()

    def __repr__(self) -> str:
        return f"ReasonCode({PacketTypes.Names[self.packetType]}, {self.getName()!r})"


ReasonCodes = ReasonCode
