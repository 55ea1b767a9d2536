"""What carries the bytes between a socket that Python opened and the native session."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Protocol

from ._native import Fault, Session, Tls
from .tls import tls_error
from .wakeup import is_ready

_CHUNK = 65_536


class Carrier(Protocol):
    """An open connection. The verbs never wait; they raise Fault when the connection is over."""

    socket: socket.socket

    def read(self) -> None:
        """Move what has come into the session."""

    def write(self) -> None:
        """Move what the session has out, as far as the socket takes it."""

    def want_write(self) -> bool:
        """Return whether `write` has something to do once the socket is writable."""

    def close(self) -> None:
        """Let go of the session, then close the socket."""


class DescriptorCarrier:
    """The native side reads and writes the descriptor; its TLS, or none."""

    def __init__(
        self,
        session: Session,
        sock: socket.socket,
        tls: Tls | None,
        host: str,
        timeout: float,
        stall_timeout: float,
    ) -> None:
        """Handshake in at most `timeout` seconds. Raises OSError, and ssl.SSLError among it."""
        self.socket = sock
        self._session = session
        sock.setblocking(False)
        try:
            session.attach(sock, tls, host, _peer(host, sock), stall_timeout)
            self._handshake(time.monotonic() + timeout)
        except Fault as fault:
            session.detach()
            raise tls_error(fault) from None
        except BaseException:
            session.detach()
            raise

    def _handshake(self, deadline: float) -> None:
        while True:
            self._session.write()
            if self._session.is_secured():
                return
            left = deadline - time.monotonic()
            if not is_ready(self.socket, left, self._session.want_write()):
                raise TimeoutError("The handshake operation timed out")
            self._session.read()

    def read(self) -> None:
        self._session.read()

    def write(self) -> None:
        while self._session.write():
            pass

    def want_write(self) -> bool:
        return self._session.want_write()

    def close(self) -> None:
        self._session.detach()
        self.socket.close()


class SslCarrier:
    """Python's ssl encrypts; the session sees plain bytes."""

    def __init__(
        self,
        session: Session,
        sock: socket.socket,
        context: ssl.SSLContext,
        host: str,
        timeout: float,
    ) -> None:
        """Handshake in at most `timeout` seconds. Raises OSError, and ssl.SSLError among it."""
        sock.settimeout(timeout)
        self._session = session
        self._pending = b""
        # An SSLSocket must not be read and written at once; neither call waits.
        self._lock = threading.Lock()
        secured = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        try:
            secured.do_handshake()
            secured.setblocking(False)
            session.attach_queues(_peer(host, secured))
        except BaseException:
            secured.close()
            raise
        self.socket: socket.socket = secured

    def read(self) -> None:
        with self._lock:
            try:
                while True:
                    received = self.socket.recv(_CHUNK)
                    self._session.feed(received)
                    if not received:
                        break
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                pass
            except OSError as error:
                raise Fault("connection_reset", str(error)) from error
        while self._session.read():
            pass

    def write(self) -> None:
        with self._lock:
            try:
                while True:
                    if not self._pending:
                        self._session.write()
                        self._pending = self._session.fetch()
                    if not self._pending:
                        return
                    sent = self.socket.send(self._pending)
                    self._pending = self._pending[sent:]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                pass
            except OSError as error:
                raise Fault("connection_reset", str(error)) from error

    def want_write(self) -> bool:
        return bool(self._pending) or self._session.want_write()

    def close(self) -> None:
        self._session.detach()
        self.socket.close()


def _peer(host: str, sock: socket.socket) -> str:
    try:
        return f"{host}:{sock.getpeername()[1]}"
    except OSError:
        return host
