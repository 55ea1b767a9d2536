"""From events of the session to callbacks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Any, Literal, Union

from ._native import Refused
from .callbacks import CallbackOnMessage, ConnectFlags, DisconnectFlags
from .enums import CallbackAPIVersion, ConnackCode, ConnectionState, LogLevel, MessageState, MQTTErrorCode
from .events import Event, Message
from .matcher import MQTTMatcher
from .message import MQTTMessage, MQTTMessageInfo
from .options import Options
from .packettypes import PacketTypes
from .properties import Properties
from .reasoncodes import ReasonCode
from .texts import convert_connack_rc_to_reason_code, convert_disconnect_error_code_to_reason_code

Happening = Union[Event, tuple[Literal[7], int], tuple[Literal[8], MQTTErrorCode]]
"""An event of the session, a CONNACK that refused (7), or the end of a connection (8)."""


class Dispatch(Options):
    """Calls the callbacks, in the order of what happened, in one thread at a time."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._happened: deque[Happening] = deque()
        self._dispatcher: int | None = None
        self._infos: dict[int, MQTTMessageInfo] = {}
        # Kept for later because there was no connection: their `rc` says so until there is.
        self._offline: list[MQTTMessageInfo] = []
        self._filtered: MQTTMatcher[CallbackOnMessage] = MQTTMatcher()
        self._has_filtered = False
        self._deliveries: dict[int, int] = {}

    def _in_callback(self) -> bool:
        return self._dispatcher == get_ident()

    def _collect(self, *more: Happening) -> None:
        """Take what the session has to say, then `more`."""
        with self._lock:
            self._happened.extend(self._session.take_events())
            self._happened.extend(more)

    def _dispatch(self) -> None:
        """Call the callbacks for all that happened, unless somebody is doing that."""
        if not self._happened:
            return
        with self._lock:
            if self._dispatcher is not None:
                return
            self._dispatcher = get_ident()
        try:
            while True:
                with self._lock:
                    if not self._happened:
                        self._dispatcher = None
                        return
                    happening = self._happened.popleft()
                self._handle(happening)
        except BaseException:
            self._dispatcher = None
            raise

    def _handle(self, happening: Happening) -> None:
        if happening[0] == 2:
            self._published(happening[1])
        elif happening[0] == 5:
            self._received(happening)
        elif happening[0] == 1:
            self._accepted(happening[1])
        elif happening[0] == 3:
            self._subscribed(happening[1], happening[2])
        elif happening[0] == 4:
            self._unsubscribed(happening[1])
        elif happening[0] == 6:
            with self._lock:
                info = self._infos.pop(happening[1], None)
            if info is not None:
                info._settle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        elif happening[0] == 7:
            self._call_on_connect(False, happening[1])
        else:
            self._ended(happening[1])

    def _call(self, name: str, *arguments: object) -> None:
        """Call a callback, if there is one; it is looked up now, on the instance."""
        callback = getattr(self, name)
        if callback is None:
            return
        try:
            callback(self, self._userdata, *arguments)
        except Exception as error:
            self._log(LogLevel.MQTT_LOG_ERR, "caught an exception in %s: %s", name, error)
            if not self.suppress_exceptions:
                raise
            logging.getLogger("iothub_mqtt.client").exception("%s raised an exception", name)

    def _is_version1(self) -> bool:
        return self._version is CallbackAPIVersion.VERSION1

    def _accepted(self, session_present: bool) -> None:
        self._backoff.reset()
        if self._state is ConnectionState.MQTT_CS_CONNECTING:
            self._state = ConnectionState.MQTT_CS_CONNECTED
        with self._lock:
            waiting, self._offline = self._offline, []
        for info in waiting:
            if info.rc == MQTTErrorCode.MQTT_ERR_NO_CONN:
                info.rc = MQTTErrorCode.MQTT_ERR_SUCCESS
        self._call_on_connect(session_present, 0)

    def _call_on_connect(self, session_present: bool, code: int) -> None:
        self._log(LogLevel.MQTT_LOG_DEBUG, "received CONNACK (%d, %d)", session_present, code)
        if self._is_version1():
            known = ConnackCode(code) if code <= ConnackCode.CONNACK_REFUSED_NOT_AUTHORIZED else code
            self._call("on_connect", {"session present": int(session_present)}, int(known))
        else:
            reason = convert_connack_rc_to_reason_code(code)
            flags = ConnectFlags(session_present)
            self._call("on_connect", flags, reason, Properties(PacketTypes.CONNACK))

    def _published(self, mid: int) -> None:
        with self._lock:
            info = self._infos.pop(mid, None)
        self._log(LogLevel.MQTT_LOG_DEBUG, "published (mid %d)", mid)
        try:
            if self.on_publish is None:
                pass
            elif self._is_version1():
                self._call("on_publish", mid)
            else:
                success = ReasonCode(PacketTypes.PUBACK)
                self._call("on_publish", mid, success, Properties(PacketTypes.PUBACK))
        finally:
            if info is not None:
                info._settle(MQTTErrorCode.MQTT_ERR_SUCCESS)

    def _subscribed(self, mid: int, granted: tuple[int, ...]) -> None:
        self._log(LogLevel.MQTT_LOG_DEBUG, "received SUBACK (mid %d)", mid)
        if self._is_version1():
            self._call("on_subscribe", mid, granted)
        else:
            reasons = [ReasonCode(PacketTypes.SUBACK, identifier=code) for code in granted]
            self._call("on_subscribe", mid, reasons, Properties(PacketTypes.SUBACK))

    def _unsubscribed(self, mid: int) -> None:
        self._log(LogLevel.MQTT_LOG_DEBUG, "received UNSUBACK (mid %d)", mid)
        if self._is_version1():
            self._call("on_unsubscribe", mid)
        else:
            self._call("on_unsubscribe", mid, [], Properties(PacketTypes.UNSUBACK))

    def _received(self, event: Message) -> None:
        _, topic, payload, qos, retain, dup, mid, delivery = event
        message = MQTTMessage(mid, topic)
        message.payload = payload
        message.qos = qos
        message.retain = retain
        message.dup = dup
        message.state = MessageState.MQTT_MS_PUBLISH
        self._log(
            LogLevel.MQTT_LOG_DEBUG,
            "received PUBLISH (mid %d, qos %d, retain %d, dup %d), %d bytes",
            mid,
            qos,
            retain,
            dup,
            len(payload),
        )
        if delivery is not None and self._manual_ack:
            self._deliveries[mid] = delivery
        self._call_on_message(message)
        if delivery is not None and not self._manual_ack:
            self._acknowledge(delivery)

    def _call_on_message(self, message: MQTTMessage) -> None:
        if self._has_filtered:
            with self._lock:
                callbacks = list(self._filtered.iter_match(message.topic))
            for callback in callbacks:
                try:
                    callback(self._self, self._userdata, message)
                except Exception as error:
                    self._log(LogLevel.MQTT_LOG_ERR, "caught an exception in %r: %s", callback, error)
                    if not self.suppress_exceptions:
                        raise
                    logging.getLogger("iothub_mqtt.client").exception("%r raised an exception", callback)
            if callbacks:
                return
        self._call("on_message", message)

    def _acknowledge(self, delivery: int) -> bool:
        try:
            self._session.acknowledge(delivery)
        except Refused:
            # The connection that it came on is gone: the server sends it again.
            return False
        return True

    def _ended(self, rc: MQTTErrorCode) -> None:
        self._deliveries.clear()
        self._log(LogLevel.MQTT_LOG_DEBUG, "disconnected (%d)", rc)
        if self._is_version1():
            self._call("on_disconnect", rc)
        else:
            reason = convert_disconnect_error_code_to_reason_code(rc)
            self._call("on_disconnect", DisconnectFlags(False), reason, Properties(PacketTypes.DISCONNECT))

    def message_callback_add(self, sub: str, callback: CallbackOnMessage) -> None:
        """Call `callback`, not `on_message`, for messages whose topic the filter `sub` matches."""
        if callback is None or sub is None:
            raise ValueError("sub and callback must both be defined.")
        with self._lock:
            self._filtered[sub] = callback
            self._has_filtered = True

    def topic_callback(self, sub: str) -> Callable[[CallbackOnMessage], CallbackOnMessage]:
        """Return a decorator that does `message_callback_add`."""

        def add(callback: CallbackOnMessage) -> CallbackOnMessage:
            self.message_callback_add(sub, callback)
            return callback

        return add

    def message_callback_remove(self, sub: str) -> None:
        """Undo `message_callback_add`; a filter that is not known is no error."""
        if sub is None:
            raise ValueError("sub must defined.")
        with self._lock:
            try:
                del self._filtered[sub]
            except KeyError:
                pass
