"""Waiting for a socket that another thread can cut short."""

from __future__ import annotations

import math
import select
import socket


def is_ready(sock: socket.socket, timeout: float, write: bool = False) -> bool:
    """Wait at most `timeout` seconds for `sock` to be readable, or writable if `write`."""
    poller = select.poll()
    poller.register(sock, select.POLLIN | (select.POLLOUT if write else 0))
    return bool(poller.poll(math.ceil(max(timeout, 0) * 1000)))


class Wakeup:
    """Makes the thread that waits in `wait` look again. Any thread may call `set`."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._is_set = False

    def set(self) -> None:
        """End the present or the next wait."""
        if not self._is_set:
            self._is_set = True
            try:
                self._writer.send(b"\0")
            except BlockingIOError:
                pass  # full, and so readable

    def _clear(self) -> None:
        try:
            self._reader.recv(64)
        except BlockingIOError:
            pass
        # Last: what is queued before a `set` that finds it still set is looked at after this.
        self._is_set = False

    def wait(
        self, timeout: float | None, sock: socket.socket | None = None, write: bool = False
    ) -> bool:
        """Wait for `sock` to be readable (or writable, if `write`), for `set` or for the time.

        Returns whether something is to be read. Signal handlers run, and may raise.
        """
        poller = select.poll()
        poller.register(self._reader, select.POLLIN)
        descriptor = -1 if sock is None else sock.fileno()
        if descriptor >= 0:
            poller.register(descriptor, select.POLLIN | (select.POLLOUT if write else 0))
        elif sock is not None:
            return True  # closed meanwhile: reading says so
        ready = poller.poll(None if timeout is None else math.ceil(timeout * 1000))
        readable = False
        for found, event in ready:
            if found == descriptor:
                readable = event & ~select.POLLOUT != 0
            else:
                self._clear()
        return readable

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()

    def __del__(self) -> None:
        if hasattr(self, "_writer"):
            self.close()
