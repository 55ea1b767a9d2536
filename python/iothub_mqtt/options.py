"""The options of a client: identity, credentials, will, TLS, limits, logging."""

from __future__ import annotations

import logging
import ssl
import threading
from typing import TYPE_CHECKING, Any, cast

from . import payload as payloads
from ._native import Policy, Session, Tls, check_topic, is_hub_host
from .backoff import Backoff
from .callbacks import Callbacks
from .constants import LOGGING_LEVEL
from .enums import CallbackAPIVersion, ConnectionState, LogLevel, MQTTProtocolVersion
from .payload import PayloadType
from .properties import Properties
from .tls import TlsSettings, protocol_is_tls12

if TYPE_CHECKING:
    from .client import Client


class Options(Callbacks):
    """What a client is told before it connects."""

    suppress_exceptions: bool = False
    """Whether an exception in a callback is logged instead of raised out of the loop."""

    def __init__(
        self,
        version: CallbackAPIVersion,
        client_id: str,
        clean_session: bool,
        userdata: Any,
        protocol: MQTTProtocolVersion,
        transport: str,
        iothub: bool | None,
    ) -> None:
        self._version = version
        self._client_id = client_id.encode()
        self._clean_session = clean_session
        self._userdata = userdata
        self._protocol = protocol
        self._transport = transport
        self._iothub = iothub
        self._session = Session()
        # Short critical sections only: never held while a callback runs or anything waits.
        self._lock = threading.Lock()
        self._state = ConnectionState.MQTT_CS_NEW
        self._host = ""
        self._port = 1883
        self._keepalive = 60
        self._bind_address = ""
        self._bind_port = 0
        self._connect_timeout = 5.0
        self._policy: Policy | None = None
        self._username: str | None = None
        self._password: str | None = None
        self._will: tuple[str, bytes, int, bool] | None = None
        self._tls_settings: TlsSettings | None = None
        self._tls: Tls | ssl.SSLContext | None = None
        self._backoff = Backoff()
        self._in_flight = 20
        self._queued = 0
        self._manual_ack = False
        self._logger: logging.Logger | None = None

    @property
    def _self(self) -> Client:
        """This client as the callbacks are given it."""
        return cast("Client", self)

    # -- identity and peer

    def _is_closed(self) -> bool:
        """Return whether there is no connection, and no loop that is to make one."""
        unbound = (ConnectionState.MQTT_CS_NEW, ConnectionState.MQTT_CS_CONNECT_ASYNC)
        return self._state in unbound or self._state is ConnectionState.MQTT_CS_DISCONNECTED

    def _must_be_closed(self, name: str) -> None:
        if not self._is_closed():
            raise RuntimeError(f"updating {name} on an established connection is not supported")

    def _apply_policy(self) -> None:
        """The rules of IoT Hub hold where the peer is one. Raises ValueError for a bad identity."""
        self._policy = None
        if self._iothub if self._iothub is not None else is_hub_host(self._host):
            client_id = self._client_id.decode()
            if not client_id:
                raise ValueError("client_id: is empty; IoT Hub wants the device id (or device/module)")
            self._policy = Policy(self._host, client_id)

    @property
    def host(self) -> str:
        """The host to connect to."""
        return self._host

    @host.setter
    def host(self, value: str) -> None:
        self._must_be_closed("host")
        if not value:
            raise ValueError("Invalid host.")
        self._host = value

    @property
    def port(self) -> int:
        """The port to connect to."""
        return self._port

    @port.setter
    def port(self, value: int) -> None:
        self._must_be_closed("port")
        if value <= 0:
            raise ValueError("Invalid port number.")
        self._port = value

    @property
    def keepalive(self) -> int:
        """The longest time without a packet, in seconds; 0 switches the mechanism off."""
        return self._keepalive

    @keepalive.setter
    def keepalive(self, value: int) -> None:
        self._must_be_closed("keepalive")
        self._keepalive = _checked_keepalive(value)

    @property
    def transport(self) -> str:
        """``tcp`` or ``websockets``."""
        return self._transport

    @transport.setter
    def transport(self, value: str) -> None:
        self._must_be_closed("transport")
        self._transport = checked_transport(value)

    @property
    def connect_timeout(self) -> float:
        """Seconds for TCP, and again for TLS."""
        return self._connect_timeout

    @connect_timeout.setter
    def connect_timeout(self, value: float) -> None:
        self._must_be_closed("connect_timeout")
        if value <= 0:
            raise ValueError("timeout must be a positive number")
        self._connect_timeout = value

    @property
    def protocol(self) -> MQTTProtocolVersion:
        """Always MQTT 3.1.1."""
        return self._protocol

    @property
    def callback_api_version(self) -> CallbackAPIVersion:
        """Which arguments the callbacks take."""
        return self._version

    # -- credentials and will

    def username_pw_set(self, username: str | None, password: str | None = None) -> None:
        """Set the user name and the password (for IoT Hub a SAS token); None for neither."""
        self._username = _text("username", username)
        self._password = _text("password", password) if username is not None else None

    @property
    def username(self) -> str | None:
        """The user name, or None."""
        return self._username

    @username.setter
    def username(self, value: str | None) -> None:
        self._must_be_closed("username")
        self._username = _text("username", value)

    @property
    def password(self) -> str | None:
        """The password, or None."""
        return self._password

    @password.setter
    def password(self, value: str | None) -> None:
        self._must_be_closed("password")
        self._password = _text("password", value)

    def will_set(
        self,
        topic: str,
        payload: PayloadType = None,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        """Set the message that the server publishes when the connection breaks.

        Raises ValueError for a bad topic, payload or QoS, TypeError for a payload of another type.
        """
        if not topic:
            raise ValueError("Invalid topic.")
        if properties is not None:
            raise ValueError("properties: IoT Hub and this client speak MQTT 3.1.1")
        payloads.check_qos(qos)
        check_topic(topic)
        data = payloads.encode(payload)
        if len(data) > payloads.MAX_WILL:
            raise ValueError("Payload too large.")
        self._will = (topic, data, qos, retain)

    def will_clear(self) -> None:
        """Connect without a will from now on."""
        self._will = None

    @property
    def will_topic(self) -> str | None:
        """The topic of the will, or None."""
        return self._will[0] if self._will else None

    @property
    def will_payload(self) -> bytes | None:
        """The payload of the will, or None."""
        return self._will[1] if self._will else None

    # -- TLS

    def tls_set(
        self,
        ca_certs: str | None = None,
        certfile: str | None = None,
        keyfile: str | None = None,
        cert_reqs: ssl.VerifyMode | None = None,
        tls_version: int | None = None,
        ciphers: str | None = None,
        keyfile_password: str | None = None,
        alpn_protocols: list[str] | None = None,
    ) -> None:
        """Use TLS, at least 1.2. Paths of PEM files; without `ca_certs` the roots of the system.

        Raises OSError and ssl.SSLError for files that cannot be used, ValueError if TLS is set already.
        """
        self._must_have_no_tls()
        settings = TlsSettings(
            ca_certs,
            certfile,
            keyfile,
            ssl.CERT_REQUIRED if cert_reqs is None else cert_reqs,
            protocol_is_tls12(tls_version),
            ciphers,
            keyfile_password,
            tuple(alpn_protocols or ()),
        )
        verified = settings.cert_reqs != ssl.CERT_NONE
        self._tls = settings.native() if settings.is_plain() else settings.context(verified)
        self._tls_settings = settings

    def tls_set_context(self, context: ssl.SSLContext | None = None) -> None:
        """Use TLS by a context of Python's ssl; without one, as `tls_set()` does."""
        self._must_have_no_tls()
        if context is None:
            self._tls_settings = TlsSettings()
            self._tls = self._tls_settings.native()
        else:
            self._tls = context

    def _must_have_no_tls(self) -> None:
        if self._tls is not None:
            raise ValueError("SSL/TLS has already been configured.")

    def tls_insecure_set(self, value: bool) -> None:
        """Do not verify the host name, if `value`. Refused on connect when the peer is an IoT Hub."""
        if self._tls is None:
            raise ValueError("Must configure SSL context before using tls_insecure_set.")
        if isinstance(self._tls, ssl.SSLContext):
            self._tls.check_hostname = not value
        elif value and self._tls_settings is not None:
            self._tls = self._tls_settings.context(check_hostname=False)

    # -- limits and behaviour

    @property
    def max_inflight_messages(self) -> int:
        """How many messages may be sent and not acknowledged; 0 is no limit."""
        return self._in_flight

    @max_inflight_messages.setter
    def max_inflight_messages(self, value: int) -> None:
        self.max_inflight_messages_set(value)

    def max_inflight_messages_set(self, inflight: int) -> None:
        """Set how many messages may be sent and not acknowledged; 0 is no limit."""
        self._must_be_closed("max_inflight_messages")
        if inflight < 0:
            raise ValueError("Invalid inflight.")
        self._in_flight = inflight
        self._session.set_limits(self._in_flight, self._queued)

    @property
    def max_queued_messages(self) -> int:
        """How many messages may wait; 0 stands for 65,000."""
        return self._queued

    @max_queued_messages.setter
    def max_queued_messages(self, value: int) -> None:
        self._must_be_closed("max_queued_messages")
        if value < 0:
            raise ValueError("Invalid queue size.")
        self._queued = value
        self._session.set_limits(self._in_flight, self._queued)

    def reconnect_delay_set(self, min_delay: int = 1, max_delay: int = 120) -> None:
        """Set the seconds before the first attempt to reconnect, and the most of any."""
        self._backoff = Backoff(min_delay, max_delay)

    def manual_ack_set(self, on: bool) -> None:
        """Acknowledge received messages with `ack` alone, if `on`."""
        self._manual_ack = on

    def user_data_set(self, userdata: Any) -> None:
        """Set what the callbacks are given as `userdata`."""
        self._userdata = userdata

    def user_data_get(self) -> Any:
        """Return what the callbacks are given as `userdata`."""
        return self._userdata

    # -- logging

    def enable_logger(self, logger: logging.Logger | None = None) -> None:
        """Log to `logger`, or to the logger of this package."""
        self._logger = logger or self._logger or logging.getLogger("iothub_mqtt.client")

    def disable_logger(self) -> None:
        """Log no more."""
        self._logger = None

    @property
    def logger(self) -> logging.Logger | None:
        """Where the client logs to, or None."""
        return self._logger

    @logger.setter
    def logger(self, value: logging.Logger | None) -> None:
        self._logger = value

    def _log(self, level: LogLevel, text: str, *arguments: object) -> None:
        on_log = self.on_log
        if on_log is not None:
            try:
                on_log(self._self, self._userdata, level, text % arguments)
            except Exception:
                # Of a callback for logging, nothing but the log is left to tell.
                logging.getLogger("iothub_mqtt.client").exception("on_log raised an exception")
        if self._logger is not None:
            self._logger.log(LOGGING_LEVEL[level], text, *arguments)


def checked_transport(value: str) -> str:
    """Return `value`. Raises ValueError for a transport that is not offered."""
    if value not in ("tcp", "websockets"):
        raise ValueError(f'transport must be "websockets" or "tcp", not {value!r}')
    return value


def _checked_keepalive(value: int) -> int:
    if not 0 <= value <= 65_535:
        raise ValueError("Keepalive must be >=0 and at most 65535.")
    return value


def _text(name: str, value: str | bytes | None) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{name}: is not UTF-8") from None
    return value
