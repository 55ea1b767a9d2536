"""The loops: one turn, for ever, or in a thread."""

from __future__ import annotations

import threading
import time
from typing import Any

from .connection import OVER, Connection
from .enums import ConnectionState, LogLevel, MQTTErrorCode

# How long the end of the interpreter waits for a loop that is in a callback, in seconds.
_EXIT_WAIT = 1.0


class Loop(Connection):
    """Waits, and calls the verbs of the connection."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._reconnect_on_failure = True
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def loop(self, timeout: float = 1.0, max_packets: int = 1) -> MQTTErrorCode:
        """Wait for the network, at most `timeout` seconds, and do what is to be done."""
        self._check_process()
        if timeout < 0.0:
            raise ValueError("Invalid timeout.")
        with _Looping(self):
            return self._turn(timeout)

    def _turn(self, timeout: float | None) -> MQTTErrorCode:
        carrier = self._carrier
        if carrier is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        due = self._session.deadline()
        if due is not None:
            timeout = due if timeout is None else min(due, timeout)
        if self._happened:
            timeout = 0
        if self._wakeup.wait(timeout, carrier.socket, carrier.want_write()):
            rc = self.loop_read()
            if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return rc
        if carrier.want_write() or self._state is ConnectionState.MQTT_CS_DISCONNECTING:
            rc = self.loop_write()
            if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return rc
        self._dispatch()
        if self._carrier is not carrier:
            # A callback closed or replaced it.
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        return self.loop_misc()

    def loop_forever(
        self, timeout: float = 1.0, max_packets: int = 1, retry_first_connection: bool = False
    ) -> MQTTErrorCode:
        """Loop, and connect again whenever the connection is lost, until `disconnect`.

        `retry_first_connection` goes for `connect_async` and may stand second, as in paho 2.
        """
        self._check_process()
        if isinstance(max_packets, bool):
            retry_first_connection = max_packets
        return self._run(timeout, retry_first_connection, threading.Event())

    def _run(self, timeout: float, retry_first: bool, stop: threading.Event) -> MQTTErrorCode:
        with _Looping(self):
            if self._state is ConnectionState.MQTT_CS_CONNECT_ASYNC:
                self._attempt(must=not retry_first)
            while True:
                rc = self._serve(timeout, stop)
                if stop.is_set() or self._state in OVER:
                    return MQTTErrorCode.MQTT_ERR_SUCCESS
                if self._opening.locked():
                    # Another thread connects; it says when it is done.
                    self._wakeup.wait(timeout)
                elif self._state is ConnectionState.MQTT_CS_NEW:
                    if not retry_first:
                        raise ValueError("Invalid host.")
                    self._wakeup.wait(None)
                elif not self._reconnect_on_failure and rc != MQTTErrorCode.MQTT_ERR_NO_CONN:
                    return rc
                elif self._carrier is None:
                    if self._state is not ConnectionState.MQTT_CS_CONNECT_ASYNC:
                        self._pause(stop)
                    if not stop.is_set() and self._state not in OVER:
                        self._attempt(must=False)

    def _serve(self, timeout: float, stop: threading.Event) -> MQTTErrorCode:
        """Turn until the connection ends or `stop` is set and all is written."""
        rc = MQTTErrorCode.MQTT_ERR_SUCCESS
        while rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            if stop.is_set() and not self.want_write():
                break
            # Alone, only this thread can take a wake-up, and none is lost.
            rc = self._turn(None if self._loops == 1 else timeout)
        return rc

    def _attempt(self, must: bool) -> None:
        if self._carrier is not None or self._opening.locked():
            return
        try:
            self._establish(even_if_over=False)
        except OSError as error:
            self._log(LogLevel.MQTT_LOG_WARNING, "could not connect: %s", error)
            self._call("on_connect_fail")
            if must:
                raise

    def _pause(self, stop: threading.Event) -> None:
        """Wait before the next attempt, unless there is nothing to wait for any more."""
        until = time.monotonic() + self._backoff.next()
        while not stop.is_set() and self._state not in OVER and self._carrier is None:
            left = until - time.monotonic()
            if left <= 0:
                break
            self._wakeup.wait(left)

    def loop_start(self) -> MQTTErrorCode:
        """Loop in a thread that does not keep the program alive."""
        self._check_process()
        if self._thread is not None:
            return MQTTErrorCode.MQTT_ERR_INVAL
        self._stop = threading.Event()
        name = f"iothub-mqtt-{self._client_id.decode()}"
        self._thread = threading.Thread(target=self._thread_main, args=(self._stop,), name=name, daemon=True)
        self._thread.start()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _thread_main(self, stop: threading.Event) -> None:
        try:
            self._run(1.0, True, stop)
        finally:
            if self._thread is threading.current_thread():
                self._thread = None

    def loop_stop(self, force: bool = False) -> MQTTErrorCode:
        """End the thread of `loop_start`; the connection stays. In a callback, it ends after that."""
        self._check_process()
        thread = self._thread
        if thread is None:
            return MQTTErrorCode.MQTT_ERR_INVAL
        self._stop.set()
        self._wakeup.set()
        if thread is not threading.current_thread():
            thread.join()
            self._thread = None
            # What was queued after its last look.
            if self.want_write():
                self._kick()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _leave(self) -> None:
        """The interpreter ends: have the thread out of native code. Nothing is said to the server."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._stop.set()
            self._wakeup.set()
            thread.join(_EXIT_WAIT)


class _Looping:
    """Counts the threads that loop."""

    __slots__ = ("_client",)

    def __init__(self, client: Loop) -> None:
        self._client = client

    def __enter__(self) -> None:
        with self._client._lock:
            self._client._loops += 1
        if self._client._loops > 1:
            # The other must wait with a time from now on: either may take a wake-up.
            self._client._wakeup.set()

    def __exit__(self, *_: object) -> None:
        with self._client._lock:
            self._client._loops -= 1
