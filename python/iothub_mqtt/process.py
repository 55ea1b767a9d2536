"""What outlives a client badly: a fork, and the end of the interpreter."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol


class _Client(Protocol):
    def _abandon(self) -> None: ...

    def _leave(self) -> None: ...


class Process:
    """The process in which a client was made."""

    __slots__ = ("_forks",)

    def __init__(self) -> None:
        self._forks = _forks

    def is_forked(self) -> bool:
        """Return whether this is a child of that process."""
        return self._forks != _forks

    def check(self) -> None:
        """Raise RuntimeError in a child of that process."""
        if self._forks != _forks:
            raise RuntimeError("this client belongs to the parent process; make another after a fork")


_forks = 0
_clients: weakref.WeakSet[_Client] = weakref.WeakSet()


def watch(client: _Client) -> Process:
    """Look after `client` until it is collected."""
    _clients.add(client)
    return Process()


def _after_fork() -> None:
    global _forks
    _forks += 1
    for client in list(_clients):
        client._abandon()
    _clients.clear()


def _at_exit() -> None:
    for client in list(_clients):
        client._leave()


os.register_at_fork(after_in_child=_after_fork)
# A thread inside native code must not see the interpreter go.
atexit.register(_at_exit)
