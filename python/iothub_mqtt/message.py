"""Messages that were received, and what becomes of those that were published."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .enums import MessageState, MQTTErrorCode
from .properties import Properties
from .texts import error_string


class MQTTMessageInfo:
    """What becomes of a published message; also the pair ``(rc, mid)``."""

    __slots__ = ("mid", "rc", "_published", "_condition", "_may_wait", "_next")

    def __init__(self, mid: int, may_wait: Callable[[], bool] | None = None) -> None:
        self.mid = mid
        self.rc: MQTTErrorCode = MQTTErrorCode.MQTT_ERR_SUCCESS
        self._published = False
        # Made by the first who waits: most messages are never waited for.
        self._condition: threading.Condition | None = None
        self._may_wait = may_wait
        self._next = 0

    def __str__(self) -> str:
        return str((self.rc, self.mid))

    def __repr__(self) -> str:
        return f"<MQTTMessageInfo mid={self.mid} rc={int(self.rc)} published={self._published}>"

    def __iter__(self) -> MQTTMessageInfo:
        self._next = 0
        return self

    def __next__(self) -> MQTTErrorCode | int:
        return self.next()

    def next(self) -> MQTTErrorCode | int:
        """Return `rc`, then `mid`, then raise StopIteration."""
        self._next += 1
        if self._next > 2:
            raise StopIteration
        return self[self._next - 1]

    def __getitem__(self, index: int) -> MQTTErrorCode | int:
        if index == 0:
            return self.rc
        if index == 1:
            return self.mid
        raise IndexError("index out of range")

    def _settle(self, rc: MQTTErrorCode) -> None:
        """The message is delivered (QoS 1), handed to the connection (QoS 0), or lost."""
        self.rc = rc
        with _waiting:
            self._published = True
            condition = self._condition
        if condition is not None:
            with condition:
                condition.notify_all()

    def _check(self) -> None:
        if self.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise ValueError("Message is not queued due to ERR_QUEUE_SIZE")
        if self.rc > 0:
            raise RuntimeError(f"Message publish failed: {error_string(self.rc)}")

    def wait_for_publish(self, timeout: float | None = None) -> None:
        """Wait until the message is published, at most `timeout` seconds.

        Raises ValueError if the queue was full, and RuntimeError if the message was not sent or if
        called inside a callback, where waiting would keep the answer from being read.
        """
        self._check()
        if self._published:
            return
        if self._may_wait is not None and not self._may_wait():
            raise RuntimeError("wait_for_publish: waits for ever inside a callback of the same client")
        with _waiting:
            if self._condition is None:
                self._condition = threading.Condition()
            condition = self._condition
        with condition:
            condition.wait_for(lambda: self._published, timeout)
        self._check()

    def is_published(self) -> bool:
        """Return whether the message is published. Raises as `wait_for_publish` does."""
        self._check()
        return self._published


# Guards the making of conditions: held for a few instructions, and never while waiting.
_waiting = threading.Lock()


class MQTTMessage:
    """A message."""

    __slots__ = (
        "_topic",
        "payload",
        "qos",
        "retain",
        "dup",
        "mid",
        "timestamp",
        "state",
        "properties",
        "info",
    )

    def __init__(self, mid: int = 0, topic: bytes = b"") -> None:
        self._topic = topic
        self.payload = b""
        self.qos = 0
        self.retain = False
        self.dup = False
        self.mid = mid
        self.timestamp: float = time.monotonic()
        self.state: MessageState = MessageState.MQTT_MS_INVALID
        self.properties: Properties | None = None
        self.info = MQTTMessageInfo(mid)

    @property
    def topic(self) -> str:
        """The topic. Raises UnicodeDecodeError if it is not UTF-8."""
        return self._topic.decode("utf-8")

    @topic.setter
    def topic(self, value: bytes) -> None:
        self._topic = value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MQTTMessage):
            return self.mid == other.mid
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.mid)

    def __repr__(self) -> str:
        return f"<MQTTMessage mid={self.mid} qos={self.qos} {len(self.payload)} bytes>"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "info"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.info = MQTTMessageInfo(self.mid)
