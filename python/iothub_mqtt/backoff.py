"""How long to wait before the next attempt to connect."""

from __future__ import annotations


class Backoff:
    """Seconds between attempts: `minimum` first, doubled each time up to `maximum`."""

    def __init__(self, minimum: float = 1, maximum: float = 120) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self._next: float | None = None

    def next(self) -> float:
        """Return the seconds to wait now."""
        delay = self.minimum if self._next is None else self._next
        delay = min(delay, self.maximum)
        self._next = min(delay * 2, self.maximum)
        return delay

    def reset(self) -> None:
        """Begin again: a connection was accepted."""
        self._next = None
