"""Callbacks that write down what they are called with."""

from __future__ import annotations

import queue
import threading
from typing import Any

from iothub_mqtt import client as mqtt
from peers import PATIENCE

NAMES = ("connect", "disconnect", "publish", "subscribe", "unsubscribe", "message", "connect_fail")


class Recorder:
    """What a client's callbacks were called with, in a queue for each."""

    def __init__(self, client: mqtt.Client) -> None:
        self._queues: dict[str, queue.Queue[tuple[Any, ...]]] = {name: queue.Queue() for name in NAMES}
        self.threads: set[threading.Thread] = set()
        self.order: list[str] = []
        for name in NAMES:
            setattr(client, f"on_{name}", self._writer(name))

    def _writer(self, name: str) -> Any:
        def write(client: mqtt.Client, userdata: Any, *arguments: Any) -> None:
            self.threads.add(threading.current_thread())
            self.order.append(name)
            self._queues[name].put(arguments)

        return write

    def wait(self, name: str) -> tuple[Any, ...]:
        """Return the arguments of the next call, without client and userdata."""
        return self._queues[name].get(timeout=PATIENCE)

    def is_empty(self, name: str) -> bool:
        return self._queues[name].empty()
