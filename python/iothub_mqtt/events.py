"""What the native session reports: tuples, told apart by their first number."""

from __future__ import annotations

from typing import Literal, Optional, TypeAlias, Union

Connected: TypeAlias = tuple[Literal[1], bool]
"""Whether the server kept the session."""
Published: TypeAlias = tuple[Literal[2], int]
"""The packet id."""
Subscribed: TypeAlias = tuple[Literal[3], int, tuple[int, ...]]
"""The packet id, and the QoS granted for each filter, 128 where the server refused it."""
Unsubscribed: TypeAlias = tuple[Literal[4], int]
"""The packet id."""
Message: TypeAlias = tuple[Literal[5], bytes, bytes, int, bool, bool, int, Optional[int]]
"""Topic, payload, QoS, retain, dup, packet id, and the delivery number to acknowledge."""
Lost: TypeAlias = tuple[Literal[6], int, str]
"""The packet id of a message that ended without being delivered, and why."""
Event: TypeAlias = Union[Connected, Published, Subscribed, Unsubscribed, Message, Lost]
