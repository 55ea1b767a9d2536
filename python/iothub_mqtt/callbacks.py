"""The callbacks of a client: their types, where they are kept, and what they are called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, Union, overload

from .enums import MQTTErrorCode
from .message import MQTTMessage
from .properties import Properties
from .reasoncodes import ReasonCode

if TYPE_CHECKING:
    import socket

    from .client import Client


class ConnectFlags(NamedTuple):
    """What CONNACK says besides its code."""

    session_present: bool
    """Whether the server kept the session of an earlier connection."""


class DisconnectFlags(NamedTuple):
    """How a connection ended."""

    is_disconnect_packet_from_server: bool
    """Always False: servers of MQTT 3.1.1 send no DISCONNECT."""


CallbackOnConnect_v1 = Callable[["Client", Any, dict[str, Any], MQTTErrorCode], None]
CallbackOnConnect_v1_mqtt3 = Callable[["Client", Any, dict[str, Any], MQTTErrorCode], None]
CallbackOnConnect_v1_mqtt5 = Callable[
    ["Client", Any, dict[str, Any], ReasonCode, Union[Properties, None]], None
]
CallbackOnConnect_v2 = Callable[["Client", Any, ConnectFlags, ReasonCode, Union[Properties, None]], None]
CallbackOnConnect = Union[CallbackOnConnect_v1_mqtt3, CallbackOnConnect_v1_mqtt5, CallbackOnConnect_v2]
CallbackOnConnectFail = Callable[["Client", Any], None]
CallbackOnPreConnect = Callable[["Client", Any], None]
CallbackOnDisconnect_v1_mqtt3 = Callable[["Client", Any, MQTTErrorCode], None]
CallbackOnDisconnect_v1_mqtt5 = Callable[
    ["Client", Any, Union[ReasonCode, int, None], Union[Properties, None]], None
]
CallbackOnDisconnect_v1 = CallbackOnDisconnect_v1_mqtt5
CallbackOnDisconnect_v2 = Callable[
    ["Client", Any, DisconnectFlags, ReasonCode, Union[Properties, None]], None
]
CallbackOnDisconnect = Union[
    CallbackOnDisconnect_v1_mqtt3, CallbackOnDisconnect_v1_mqtt5, CallbackOnDisconnect_v2
]
CallbackOnLog = Callable[["Client", Any, int, str], None]
CallbackOnMessage = Callable[["Client", Any, MQTTMessage], None]
CallbackOnPublish_v1 = Callable[["Client", Any, int], None]
CallbackOnPublish_v2 = Callable[["Client", Any, int, ReasonCode, Properties], None]
CallbackOnPublish = Union[CallbackOnPublish_v1, CallbackOnPublish_v2]
CallbackOnSocket = Callable[["Client", Any, "socket.socket"], None]
CallbackOnSubscribe_v1_mqtt3 = Callable[["Client", Any, int, tuple[int, ...]], None]
CallbackOnSubscribe_v1_mqtt5 = Callable[["Client", Any, int, list[ReasonCode], Properties], None]
CallbackOnSubscribe_v1 = CallbackOnSubscribe_v1_mqtt5
CallbackOnSubscribe_v2 = Callable[
    ["Client", Any, int, list[ReasonCode], Union[Properties, None]], None
]
CallbackOnSubscribe = Union[
    CallbackOnSubscribe_v1_mqtt3, CallbackOnSubscribe_v1_mqtt5, CallbackOnSubscribe_v2
]
CallbackOnUnsubscribe_v1_mqtt3 = Callable[["Client", Any, int], None]
CallbackOnUnsubscribe_v1_mqtt5 = Callable[
    ["Client", Any, int, Properties, Union[ReasonCode, list[ReasonCode]]], None
]
CallbackOnUnsubscribe_v1 = CallbackOnUnsubscribe_v1_mqtt5
CallbackOnUnsubscribe_v2 = Callable[
    ["Client", Any, int, list[ReasonCode], Union[Properties, None]], None
]
CallbackOnUnsubscribe = Union[
    CallbackOnUnsubscribe_v1_mqtt3, CallbackOnUnsubscribe_v1_mqtt5, CallbackOnUnsubscribe_v2
]

F = TypeVar("F")


class Slot(Generic[F]):
    """An attribute that holds a callback or None.

    A subclass may override it with a method: it is looked up on the instance at each call.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = "_" + name

    @overload
    def __get__(self, instance: None, owner: type) -> Slot[F]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> F | None: ...

    def __get__(self, instance: object | None, owner: type) -> Slot[F] | F | None:
        if instance is None:
            return self
        callback: F | None = instance.__dict__.get(self._name)
        return callback

    def __set__(self, instance: object, callback: F | None) -> None:
        instance.__dict__[self._name] = callback


class Callbacks:
    """The callbacks of a client, and a decorator for each."""

    on_connect = Slot[CallbackOnConnect]()
    on_connect_fail = Slot[CallbackOnConnectFail]()
    on_disconnect = Slot[CallbackOnDisconnect]()
    on_log = Slot[CallbackOnLog]()
    on_message = Slot[CallbackOnMessage]()
    on_pre_connect = Slot[CallbackOnPreConnect]()
    on_publish = Slot[CallbackOnPublish]()
    on_socket_close = Slot[CallbackOnSocket]()
    on_socket_open = Slot[CallbackOnSocket]()
    on_socket_register_write = Slot[CallbackOnSocket]()
    on_socket_unregister_write = Slot[CallbackOnSocket]()
    on_subscribe = Slot[CallbackOnSubscribe]()
    on_unsubscribe = Slot[CallbackOnUnsubscribe]()

    def _decorator(self, name: str) -> Callable[[F], F]:
        def assign(callback: F) -> F:
            setattr(self, name, callback)
            return callback

        return assign

    def connect_callback(self) -> Callable[[CallbackOnConnect], CallbackOnConnect]:
        """Return a decorator that sets `on_connect`."""
        return self._decorator("on_connect")

    def connect_fail_callback(self) -> Callable[[CallbackOnConnectFail], CallbackOnConnectFail]:
        """Return a decorator that sets `on_connect_fail`."""
        return self._decorator("on_connect_fail")

    def disconnect_callback(self) -> Callable[[CallbackOnDisconnect], CallbackOnDisconnect]:
        """Return a decorator that sets `on_disconnect`."""
        return self._decorator("on_disconnect")

    def log_callback(self) -> Callable[[CallbackOnLog], CallbackOnLog]:
        """Return a decorator that sets `on_log`."""
        return self._decorator("on_log")

    def message_callback(self) -> Callable[[CallbackOnMessage], CallbackOnMessage]:
        """Return a decorator that sets `on_message`."""
        return self._decorator("on_message")

    def pre_connect_callback(self) -> Callable[[CallbackOnPreConnect], CallbackOnPreConnect]:
        """Return a decorator that sets `on_pre_connect`."""
        return self._decorator("on_pre_connect")

    def publish_callback(self) -> Callable[[CallbackOnPublish], CallbackOnPublish]:
        """Return a decorator that sets `on_publish`."""
        return self._decorator("on_publish")

    def socket_close_callback(self) -> Callable[[CallbackOnSocket], CallbackOnSocket]:
        """Return a decorator that sets `on_socket_close`."""
        return self._decorator("on_socket_close")

    def socket_open_callback(self) -> Callable[[CallbackOnSocket], CallbackOnSocket]:
        """Return a decorator that sets `on_socket_open`."""
        return self._decorator("on_socket_open")

    def socket_register_write_callback(self) -> Callable[[CallbackOnSocket], CallbackOnSocket]:
        """Return a decorator that sets `on_socket_register_write`."""
        return self._decorator("on_socket_register_write")

    def socket_unregister_write_callback(self) -> Callable[[CallbackOnSocket], CallbackOnSocket]:
        """Return a decorator that sets `on_socket_unregister_write`."""
        return self._decorator("on_socket_unregister_write")

    def subscribe_callback(self) -> Callable[[CallbackOnSubscribe], CallbackOnSubscribe]:
        """Return a decorator that sets `on_subscribe`."""
        return self._decorator("on_subscribe")

    def unsubscribe_callback(self) -> Callable[[CallbackOnUnsubscribe], CallbackOnUnsubscribe]:
        """Return a decorator that sets `on_unsubscribe`."""
        return self._decorator("on_unsubscribe")
