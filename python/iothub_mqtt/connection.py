"""The connection of a client: opened here, moved by `loop_read` and its kin, and closed here."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from socket import socket as Socket
from typing import Any

from ._native import Fault, Tls
from .admission import check_peer
from .carrier import Carrier, DescriptorCarrier, SslCarrier
from .constants import MQTT_CLEAN_START_FIRST_ONLY
from .dispatch import Dispatch
from .enums import ConnectionState, LogLevel, MQTTErrorCode
from .options import _checked_keepalive
from .process import watch
from .properties import Properties
from .wakeup import Wakeup, is_ready

OVER = (ConnectionState.MQTT_CS_DISCONNECTING, ConnectionState.MQTT_CS_DISCONNECTED)
"""The states of a client that does not want to be connected."""

# How long the server may take to close after DISCONNECT, in seconds.
_LINGER = 1.0

_FAULTS = {
    "keep_alive": MQTTErrorCode.MQTT_ERR_KEEPALIVE,
    "protocol": MQTTErrorCode.MQTT_ERR_PROTOCOL,
}


class Connection(Dispatch):
    """Opens, moves and closes the connection."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._carrier: Carrier | None = None
        # Held while a connection is being opened, and never while a callback runs.
        self._opening = threading.Lock()
        self._wakeup = Wakeup()
        # How many threads are in a loop, and so will write what is queued.
        self._loops = 0
        self._is_registered = False
        self._process = watch(self)

    def _check_process(self) -> None:
        self._process.check()

    # -- opening

    def connect(
        self,
        host: str,
        port: int = 1883,
        keepalive: int = 60,
        bind_address: str = "",
        bind_port: int = 0,
        clean_start: bool | int = MQTT_CLEAN_START_FIRST_ONLY,
        properties: Properties | None = None,
    ) -> MQTTErrorCode:
        """Open the connection and send CONNECT. Its answer comes to `on_connect`, from a loop.

        Raises ValueError for bad arguments, OSError (ssl.SSLError among them) where it fails.
        """
        self._set_peer(host, port, keepalive, bind_address, bind_port, clean_start, properties)
        return self.reconnect()

    def connect_async(
        self,
        host: str,
        port: int = 1883,
        keepalive: int = 60,
        bind_address: str = "",
        bind_port: int = 0,
        clean_start: bool | int = MQTT_CLEAN_START_FIRST_ONLY,
        properties: Properties | None = None,
    ) -> None:
        """Remember where to connect to; `loop_start` and `loop_forever` do it."""
        self._set_peer(host, port, keepalive, bind_address, bind_port, clean_start, properties)
        self._state = ConnectionState.MQTT_CS_CONNECT_ASYNC
        self._wakeup.set()

    def _set_peer(
        self,
        host: str,
        port: int,
        keepalive: int,
        bind_address: str,
        bind_port: int,
        clean_start: bool | int,
        properties: Properties | None,
    ) -> None:
        self._check_process()
        if not host:
            raise ValueError("Invalid host.")
        if port <= 0:
            raise ValueError("Invalid port number.")
        if bind_port < 0:
            raise ValueError("Invalid bind port number.")
        if clean_start != MQTT_CLEAN_START_FIRST_ONLY or properties is not None:
            raise ValueError("clean_start and properties: IoT Hub and this client speak MQTT 3.1.1")
        self._keepalive = _checked_keepalive(keepalive)
        self._host, self._port = host, port
        self._bind_address, self._bind_port = bind_address, bind_port
        self._apply_policy()

    def connect_srv(self, *arguments: object, **keywords: object) -> MQTTErrorCode:
        """Raise ValueError: neither IoT Hub nor this client uses SRV records."""
        raise ValueError("connect_srv: SRV records are not supported; pass the host name to connect")

    def reconnect(self) -> MQTTErrorCode:
        """Open the connection again, or for the first time. Raises as `connect` does."""
        return self._establish(even_if_over=True)

    def _establish(self, even_if_over: bool) -> MQTTErrorCode:
        self._check_process()
        if not self._host:
            raise ValueError("Invalid host.")
        if self._port <= 0:
            raise ValueError("Invalid port number.")
        if self._transport != "tcp":
            raise ValueError(f"transport: {self._transport!r} is not available yet")
        self._apply_policy()
        check_peer(self._host, self._port, self._tls, self._policy, self._will)
        self._call("on_pre_connect")
        self._drop_connection()
        with self._opening:
            with self._lock:
                if self._carrier is not None:
                    # Another thread was faster.
                    return MQTTErrorCode.MQTT_ERR_SUCCESS
                if self._state in OVER and not even_if_over:
                    return MQTTErrorCode.MQTT_ERR_NO_CONN
                self._state = ConnectionState.MQTT_CS_CONNECTING
            try:
                carrier = self._open()
            except BaseException:
                with self._lock:
                    if self._state is ConnectionState.MQTT_CS_CONNECTING:
                        self._state = ConnectionState.MQTT_CS_CONNECTION_LOST
                self._wakeup.set()
                raise
            self._is_registered = False
            with self._lock:
                self._carrier = carrier
                if self._state is not ConnectionState.MQTT_CS_CONNECTING:
                    # disconnect() was called meanwhile: CONNECT goes out, and DISCONNECT behind it.
                    self._state = ConnectionState.MQTT_CS_DISCONNECTING
        self._log(
            LogLevel.MQTT_LOG_DEBUG,
            "sending CONNECT (clean session %d, keep-alive %d s, client id %r)",
            self._clean_session,
            self._keepalive,
            self._client_id.decode(),
        )
        self._call("on_socket_open", carrier.socket)
        return self._kick()

    def _open(self) -> Carrier:
        timeout = self._connect_timeout
        sock = socket.create_connection(
            (self._host, self._port), timeout, (self._bind_address, self._bind_port)
        )
        try:
            # Batches are written whole, so that waiting to fill a segment gains nothing.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            carrier = self._secure(sock, timeout)
        except BaseException:
            sock.close()
            raise
        try:
            self._session.start(
                self._client_id.decode(),
                self._clean_session,
                self._keepalive,
                self._username,
                self._password,
                self._will,
            )
        except BaseException:
            carrier.close()
            raise
        return carrier

    def _secure(self, sock: socket.socket, timeout: float) -> Carrier:
        tls: Tls | ssl.SSLContext | None = self._tls
        if isinstance(tls, ssl.SSLContext):
            return SslCarrier(self._session, sock, tls, self._host, timeout)
        stall = max(self._keepalive, 10)
        return DescriptorCarrier(self._session, sock, tls, self._host, timeout, stall)

    # -- moving

    def socket(self) -> Socket | None:
        """Return the open socket, to be watched by another loop, or None."""
        carrier = self._carrier
        return None if carrier is None else carrier.socket

    def want_write(self) -> bool:
        """Return whether `loop_write` has something to do once the socket is writable."""
        carrier = self._carrier
        if carrier is None:
            return False
        return carrier.want_write() or self._state is ConnectionState.MQTT_CS_DISCONNECTING

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read what has come and call the callbacks. Call it when the socket is readable."""
        self._check_process()
        carrier = self._carrier
        if carrier is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            carrier.read()
        except Fault as fault:
            return self._fail(carrier, fault)
        self._collect()
        self._dispatch()
        if not self._loops and self.want_write():
            # Acknowledgements, and what the callbacks sent.
            self._kick()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def loop_write(self, max_packets: int = 1) -> MQTTErrorCode:
        """Write what is queued, as far as the socket takes it."""
        self._check_process()
        carrier = self._carrier
        if carrier is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            carrier.write()
            if self._state is ConnectionState.MQTT_CS_DISCONNECTING and not carrier.want_write():
                # Only now: DISCONNECT overtakes what the session still has to send.
                self._session.disconnect()
                carrier.write()
        except Fault as fault:
            return self._fail(carrier, fault)
        if self._session.is_finished() and not carrier.want_write():
            self._linger(carrier)
            self._close(carrier, MQTTErrorCode.MQTT_ERR_SUCCESS)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        self._register_write(carrier)
        self._collect()
        self._dispatch()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def loop_misc(self) -> MQTTErrorCode:
        """Do what is due. Call it about once a second where no other loop is used."""
        self._check_process()
        carrier = self._carrier
        if carrier is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            self._session.timer()
        except Fault as fault:
            return self._fail(carrier, fault)
        if not self._loops and carrier.want_write():
            return self._kick()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _kick(self) -> MQTTErrorCode:
        """Have what was queued written: by whoever loops, else here."""
        carrier = self._carrier
        if carrier is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        if self.on_socket_register_write is not None:
            self._register_write(carrier)
            if not self._loops:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
        if self._loops:
            self._wakeup.set()
        elif not self._in_callback():
            return self.loop_write()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _register_write(self, carrier: Carrier) -> None:
        wanted = carrier.want_write() or self._state is ConnectionState.MQTT_CS_DISCONNECTING
        if wanted != self._is_registered:
            self._is_registered = wanted
            self._call("on_socket_register_write" if wanted else "on_socket_unregister_write", carrier.socket)

    # -- closing

    def disconnect(
        self, reasoncode: object | None = None, properties: Properties | None = None
    ) -> MQTTErrorCode:
        """Send what is queued, then DISCONNECT, and close the connection."""
        self._check_process()
        if reasoncode is not None or properties is not None:
            raise ValueError("reasoncode and properties: IoT Hub and this client speak MQTT 3.1.1")
        with self._lock:
            is_open = self._carrier is not None
            self._state = (
                ConnectionState.MQTT_CS_DISCONNECTING if is_open else ConnectionState.MQTT_CS_DISCONNECTED
            )
        if not is_open:
            self._wakeup.set()
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        self._log(LogLevel.MQTT_LOG_DEBUG, "sending DISCONNECT")
        self._kick()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _linger(self, carrier: Carrier) -> None:
        """Let the server close first, for a while.

        To close a socket with bytes unread resets the connection, which may take with it what the
        server has not read; TLS 1.3 servers send bytes that nobody asked for.
        """
        # A loop that is not ours must not be held up.
        until = time.monotonic() + (0 if self.on_socket_register_write is not None else _LINGER)
        try:
            carrier.read()
            while is_ready(carrier.socket, until - time.monotonic()):
                carrier.read()
        except Fault:
            pass  # the end that was waited for

    def _fail(self, carrier: Carrier, fault: Fault) -> MQTTErrorCode:
        cause, detail = fault.args
        code = self._session.refused()
        if code is not None:
            self._collect((7, code))
            rc = MQTTErrorCode.MQTT_ERR_CONN_REFUSED
        else:
            rc = _FAULTS.get(cause, MQTTErrorCode.MQTT_ERR_CONN_LOST)
        if self._state is not ConnectionState.MQTT_CS_DISCONNECTING:
            self._log(LogLevel.MQTT_LOG_WARNING, "connection ended: %s", detail)
        return self._close(carrier, rc)

    def _close(self, carrier: Carrier, rc: MQTTErrorCode) -> MQTTErrorCode:
        with self._lock:
            if self._carrier is not carrier:
                return rc
            self._carrier = None
        self._release(carrier)
        with self._lock:
            if self._state in OVER:
                self._state = ConnectionState.MQTT_CS_DISCONNECTED
                rc = MQTTErrorCode.MQTT_ERR_SUCCESS
            else:
                self._state = ConnectionState.MQTT_CS_CONNECTION_LOST
        self._wakeup.set()
        self._collect((8, rc))
        self._dispatch()
        return rc

    def _drop_connection(self) -> None:
        """Close without telling `on_disconnect`, to open another."""
        with self._lock:
            carrier, self._carrier = self._carrier, None
        if carrier is not None:
            self._release(carrier)
            self._collect()

    def _release(self, carrier: Carrier) -> None:
        try:
            if self._is_registered:
                self._is_registered = False
                self._call("on_socket_unregister_write", carrier.socket)
            self._call("on_socket_close", carrier.socket)
        finally:
            carrier.close()

    def _abandon(self) -> None:
        """In the child of a fork: close the descriptors, and touch nothing that has a lock."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            Socket.close(carrier.socket)
        self._wakeup.close()

    def _leave(self) -> None:
        """The interpreter ends. Nothing is said to the server."""

    def is_connected(self) -> bool:
        """Return whether a loop has seen the server accept the connection."""
        return self._carrier is not None and self._state is ConnectionState.MQTT_CS_CONNECTED

    def __del__(self) -> None:
        carrier = getattr(self, "_carrier", None)
        if carrier is not None and not self._process.is_forked():
            carrier.close()
