"""An MQTT 3.1.1 client with the interface of `paho.mqtt.client`, versions 1 and 2.

Write ``from iothub_mqtt import client as mqtt`` in place of ``from paho.mqtt import client as mqtt``.
"""

from __future__ import annotations

from typing import Any, NoReturn, overload

from . import constants, payload as payloads
from ._native import Refused, check_filter, check_topic
from .callbacks import (
    CallbackOnConnect,
    CallbackOnConnect_v1,
    CallbackOnConnect_v1_mqtt3,
    CallbackOnConnect_v1_mqtt5,
    CallbackOnConnect_v2,
    CallbackOnConnectFail,
    CallbackOnDisconnect,
    CallbackOnDisconnect_v1,
    CallbackOnDisconnect_v1_mqtt3,
    CallbackOnDisconnect_v1_mqtt5,
    CallbackOnDisconnect_v2,
    CallbackOnLog,
    CallbackOnMessage,
    CallbackOnPreConnect,
    CallbackOnPublish,
    CallbackOnPublish_v1,
    CallbackOnPublish_v2,
    CallbackOnSocket,
    CallbackOnSubscribe,
    CallbackOnSubscribe_v1,
    CallbackOnSubscribe_v1_mqtt3,
    CallbackOnSubscribe_v1_mqtt5,
    CallbackOnSubscribe_v2,
    CallbackOnUnsubscribe,
    CallbackOnUnsubscribe_v1,
    CallbackOnUnsubscribe_v1_mqtt3,
    CallbackOnUnsubscribe_v1_mqtt5,
    CallbackOnUnsubscribe_v2,
    ConnectFlags,
    DisconnectFlags,
)
from .constants import *  # noqa: F403
from .enums import CallbackAPIVersion, LogLevel, MessageState, MQTTErrorCode, MQTTProtocolVersion
from .exception import MalformedPacket, MQTTException, WebsocketConnectionError
from .loop import Loop
from .matcher import MQTTMatcher, topic_matches_sub
from .message import MQTTMessage, MQTTMessageInfo
from .options import checked_transport
from .packettypes import PacketTypes
from .payload import PayloadType
from .properties import Properties
from .reasoncodes import ReasonCode, ReasonCodes
from .subscribeoptions import SubscribeOptions
from .texts import (
    connack_string,
    convert_connack_rc_to_reason_code,
    convert_disconnect_error_code_to_reason_code,
    error_string,
)

SubscribeTopic = str | tuple[str, int] | list[tuple[str, int]]


class Client(Loop):
    """A client. Callbacks are attributes; they run in the thread that loops."""

    @overload
    def __init__(
        self,
        callback_api_version: CallbackAPIVersion = ...,
        client_id: str | bytes | None = ...,
        clean_session: bool | None = ...,
        userdata: Any = ...,
        protocol: int = ...,
        transport: str = ...,
        reconnect_on_failure: bool = ...,
        manual_ack: bool = ...,
        *,
        iothub: bool | None = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        client_id: str | bytes | None,
        clean_session: bool | None = ...,
        userdata: Any = ...,
        protocol: int = ...,
        transport: str = ...,
        reconnect_on_failure: bool = ...,
        *,
        manual_ack: bool = ...,
        iothub: bool | None = ...,
    ) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the arguments of paho 2 if the first is a CallbackAPIVersion, else those of paho 1.

        `iothub` says whether the peer is an IoT Hub; by default its host name tells.
        Raises ValueError for what IoT Hub or this client does not speak.
        """
        if args and (args[0] is None or isinstance(args[0], (str, bytes))):
            self._init(CallbackAPIVersion.VERSION1, *args, **kwargs)
        else:
            self._init(*args, **kwargs)

    def _init(
        self,
        callback_api_version: CallbackAPIVersion = CallbackAPIVersion.VERSION1,
        client_id: str | bytes | None = "",
        clean_session: bool | None = None,
        userdata: Any = None,
        protocol: int = MQTTProtocolVersion.MQTTv311,
        transport: str = "tcp",
        reconnect_on_failure: bool = True,
        manual_ack: bool = False,
        *,
        iothub: bool | None = None,
    ) -> None:
        if not isinstance(callback_api_version, CallbackAPIVersion):
            raise ValueError(f"Unsupported callback API version: {callback_api_version!r}")
        if protocol != MQTTProtocolVersion.MQTTv311:
            raise ValueError("protocol: IoT Hub and this client speak MQTT 3.1.1 (MQTTv311) alone")
        identity = _client_id(client_id)
        clean = True if clean_session is None else bool(clean_session)
        if not clean and not identity:
            raise ValueError("A client id must be provided if clean session is False.")
        super().__init__(
            callback_api_version,
            identity,
            clean,
            userdata,
            MQTTProtocolVersion.MQTTv311,
            checked_transport(transport.lower()),
            iothub,
        )
        self._reconnect_on_failure = reconnect_on_failure
        self._manual_ack = manual_ack

    def reinitialise(self, client_id: str = "", clean_session: bool = True, userdata: Any = None) -> None:
        """Close the connection and begin anew, with no option set and no callback."""
        version, iothub = self._version, self._iothub
        self._drop_connection()
        self._wakeup.close()
        self.__dict__.clear()
        self._init(version, client_id, clean_session, userdata, iothub=iothub)

    # -- messages

    def publish(
        self,
        topic: str,
        payload: PayloadType = None,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> MQTTMessageInfo:
        """Send a message; at QoS 1 it is kept until the server acknowledges it.

        Raises ValueError for a bad topic, QoS or size, and for what IoT Hub does not allow;
        TypeError for a payload of another type. Nothing is sent then.
        """
        self._check_process()
        if not topic:
            raise ValueError("Invalid topic.")
        if properties is not None:
            raise ValueError("properties: IoT Hub and this client speak MQTT 3.1.1")
        payloads.check_qos(qos)
        if qos == 2:
            raise ValueError("qos: publishing at QoS 2 is not offered; IoT Hub would close the connection")
        data = payloads.encode(payload)
        if self._policy is not None:
            self._policy.check_publish(topic, qos, len(data))
        check_topic(topic)
        info = MQTTMessageInfo(0, lambda: not self._in_callback())
        try:
            # Its end must not be seen before it is known here.
            with self._lock:
                info.mid = self._session.publish(topic, data, qos, retain)
                self._infos[info.mid] = info
        except Refused as refused:
            full = refused.args[0] == "full"
            info.rc = MQTTErrorCode.MQTT_ERR_QUEUE_SIZE if full else MQTTErrorCode.MQTT_ERR_NO_CONN
            return info
        self._log(
            LogLevel.MQTT_LOG_DEBUG,
            "sending PUBLISH (mid %d, qos %d, retain %d), %d bytes",
            info.mid,
            qos,
            retain,
            len(data),
        )
        if self._kick() != MQTTErrorCode.MQTT_ERR_SUCCESS and not info._published:
            info.rc = MQTTErrorCode.MQTT_ERR_NO_CONN
            with self._lock:
                self._offline.append(info)
        return info

    def ack(self, mid: int, qos: int) -> MQTTErrorCode:
        """Acknowledge a received message, where `manual_ack` is set.

        Returns MQTT_ERR_NOT_FOUND for one that is acknowledged or came on an earlier connection.
        """
        self._check_process()
        if not self._manual_ack or qos == 0:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        delivery = self._deliveries.pop(mid, None)
        if delivery is None or not self._acknowledge(delivery):
            return MQTTErrorCode.MQTT_ERR_NOT_FOUND
        return self._kick()

    def subscribe(
        self,
        topic: SubscribeTopic,
        qos: int = 0,
        options: SubscribeOptions | None = None,
        properties: Properties | None = None,
    ) -> tuple[MQTTErrorCode, int | None]:
        """Subscribe to a filter, or to pairs of filter and QoS; returns ``(rc, mid)``.

        Raises ValueError for a bad filter or QoS, and for what IoT Hub does not allow.
        """
        self._check_process()
        if options is not None or properties is not None:
            raise ValueError("options and properties: IoT Hub and this client speak MQTT 3.1.1")
        pairs = _pairs(topic, qos)
        for text, _ in pairs:
            self._check_filter(text)
        if self._carrier is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN, None
        mid = self._session.subscribe(pairs)
        self._log(LogLevel.MQTT_LOG_DEBUG, "sending SUBSCRIBE (mid %d) %s", mid, pairs)
        return self._kick(), mid

    def unsubscribe(
        self, topic: str | list[str], properties: Properties | None = None
    ) -> tuple[MQTTErrorCode, int | None]:
        """Unsubscribe from a filter or a list of them; returns ``(rc, mid)``."""
        self._check_process()
        if properties is not None:
            raise ValueError("properties: IoT Hub and this client speak MQTT 3.1.1")
        filters = [topic] if isinstance(topic, str) else list(topic or ())
        if not filters:
            raise ValueError("Invalid topic.")
        for text in filters:
            if not text or not isinstance(text, str):
                raise ValueError("Invalid topic.")
            check_filter(text)
        if self._carrier is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN, None
        mid = self._session.unsubscribe(filters)
        self._log(LogLevel.MQTT_LOG_DEBUG, "sending UNSUBSCRIBE (mid %d) %s", mid, filters)
        return self._kick(), mid

    def _check_filter(self, text: str) -> None:
        check_filter(text)
        if self._policy is not None:
            self._policy.check_filter(text)

    # -- what paho has and this has not

    def max_queued_messages_set(self, queue_size: int) -> Client:
        """Set how many messages may wait; 0 stands for 65,000."""
        self.max_queued_messages = queue_size
        return self

    def enable_bridge_mode(self) -> NoReturn:
        """Raise ValueError: IoT Hub takes no bridges."""
        raise ValueError("enable_bridge_mode: IoT Hub takes no bridges, and this client is none")

    def message_retry_set(self, retry: int) -> None:
        """Do nothing: messages are sent again when the connection is."""

    # -- as an object

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()
        self.loop_stop()

    def __repr__(self) -> str:
        state = "connected" if self.is_connected() else "not connected"
        return f"<Client {self._client_id.decode()} at {self._host or 'no host'} {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'Client' object: it holds a connection")


def _client_id(value: str | bytes | None) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return value or ""


def _pairs(topic: SubscribeTopic, qos: int) -> list[tuple[str, int]]:
    if isinstance(topic, tuple):
        topic, qos = topic
    pairs = [(topic, qos)] if isinstance(topic, str) else list(topic or ())
    if not pairs:
        raise ValueError("No topic specified, or incorrect topic type.")
    for text, quality in pairs:
        payloads.check_qos(quality)
        if not text or not isinstance(text, str):
            raise ValueError("Invalid topic.")
    return pairs


__all__ = [
    "CallbackOnConnect",
    "CallbackOnConnectFail",
    "CallbackOnConnect_v1",
    "CallbackOnConnect_v1_mqtt3",
    "CallbackOnConnect_v1_mqtt5",
    "CallbackOnConnect_v2",
    "CallbackOnDisconnect",
    "CallbackOnDisconnect_v1",
    "CallbackOnDisconnect_v1_mqtt3",
    "CallbackOnDisconnect_v1_mqtt5",
    "CallbackOnDisconnect_v2",
    "CallbackOnLog",
    "CallbackOnMessage",
    "CallbackOnPreConnect",
    "CallbackOnPublish",
    "CallbackOnPublish_v1",
    "CallbackOnPublish_v2",
    "CallbackOnSocket",
    "CallbackOnSubscribe",
    "CallbackOnSubscribe_v1",
    "CallbackOnSubscribe_v1_mqtt3",
    "CallbackOnSubscribe_v1_mqtt5",
    "CallbackOnSubscribe_v2",
    "CallbackOnUnsubscribe",
    "CallbackOnUnsubscribe_v1",
    "CallbackOnUnsubscribe_v1_mqtt3",
    "CallbackOnUnsubscribe_v1_mqtt5",
    "CallbackOnUnsubscribe_v2",
    "Client",
    "ConnectFlags",
    "DisconnectFlags",
    "MQTTException",
    "MQTTMatcher",
    "MQTTMessage",
    "MQTTMessageInfo",
    "MalformedPacket",
    "PacketTypes",
    "PayloadType",
    "Properties",
    "ReasonCode",
    "ReasonCodes",
    "SubscribeOptions",
    "WebsocketConnectionError",
    "connack_string",
    "convert_connack_rc_to_reason_code",
    "convert_disconnect_error_code_to_reason_code",
    "error_string",
    "topic_matches_sub",
]
__all__ += constants.__all__
