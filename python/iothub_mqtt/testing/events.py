"""What happened at the hub, as tests wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
"""One event: `event` names its kind, `time` when it happened, `device` and `module` whose it is.

`iothub-emulator --help` and the hub's README list the kinds and what each carries.
"""

PATIENCE = 10.0
"""Seconds after which a thing that should have happened has not."""

_SHOWN = 20


class Events:
    """Everything that happened at a hub since it started, in order. Any thread may use it.

    Nothing is taken out by waiting, so it does not matter whether a test asks before an event or after it. To wait
    for what comes after a certain moment, take `len(events)` then and pass it as `since`.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._ended: str | None = None
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return len(self._events)

    def __repr__(self) -> str:
        return f"<{len(self)} events>"

    def all(
        self, where: Callable[[Event], bool] | None = None, /, *, since: int = 0, **fields: object
    ) -> list[Event]:
        """Return the events up to now that have all of `fields` and for which `where` is true."""
        with self._changed:
            return self._matching(where, since, fields)

    def wait(
        self,
        where: Callable[[Event], bool] | None = None,
        /,
        *,
        timeout: float = PATIENCE,
        since: int = 0,
        **fields: object,
    ) -> Event:
        """Wait for the first event that has all of `fields` and for which `where` is true, and return it.

        Raises AssertionError with the last events after `timeout` seconds, or at once when the hub has ended.
        """
        return self.wait_many(1, where, timeout=timeout, since=since, **fields)[0]

    def wait_many(
        self,
        count: int,
        where: Callable[[Event], bool] | None = None,
        /,
        *,
        timeout: float = PATIENCE,
        since: int = 0,
        **fields: object,
    ) -> list[Event]:
        """Wait for `count` events as `wait` does for one, and return all that there are by then."""

        def enough() -> bool:
            return self._ended is not None or len(self._matching(where, since, fields)) >= count

        with self._changed:
            self._changed.wait_for(enough, timeout)
            found = self._matching(where, since, fields)
            if len(found) >= count:
                return found
            wanted = ", ".join(f"{name}={value!r}" for name, value in fields.items())
            if where is not None:
                wanted = ", ".join(filter(None, (wanted, f"where={where!r}")))
            last = "".join(f"\n  {event}" for event in self._events[since:][-_SHOWN:])
            why = self._ended or f"waited {timeout:g} s"
            raise AssertionError(f"{len(found)} of {count} events with {wanted}: {why}; the last ones:{last or ' none'}")

    def add(self, event: Event) -> None:
        """Take an event and wake who waits for it."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def end(self, why: str) -> None:
        """Say that no more will come; the first reason stays."""
        with self._changed:
            self._ended = self._ended or why
            self._changed.notify_all()

    def _matching(
        self, where: Callable[[Event], bool] | None, since: int, fields: dict[str, object]
    ) -> list[Event]:
        return [
            event
            for event in self._events[since:]
            if fields.items() <= event.items() and (where is None or where(event))
        ]
