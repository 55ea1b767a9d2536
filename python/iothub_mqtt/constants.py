"""The members of the enumerations as names of their own, as paho-mqtt has them."""

from __future__ import annotations

import logging

from .enums import (
    CallbackAPIVersion,
    ConnackCode,
    ConnectionState,
    LogLevel,
    MessageState,
    MessageType,
    MQTTErrorCode,
    MQTTProtocolVersion,
    PahoClientMode,
)

MQTT_ERR_AGAIN = MQTTErrorCode.MQTT_ERR_AGAIN
MQTT_ERR_SUCCESS = MQTTErrorCode.MQTT_ERR_SUCCESS
MQTT_ERR_NOMEM = MQTTErrorCode.MQTT_ERR_NOMEM
MQTT_ERR_PROTOCOL = MQTTErrorCode.MQTT_ERR_PROTOCOL
MQTT_ERR_INVAL = MQTTErrorCode.MQTT_ERR_INVAL
MQTT_ERR_NO_CONN = MQTTErrorCode.MQTT_ERR_NO_CONN
MQTT_ERR_CONN_REFUSED = MQTTErrorCode.MQTT_ERR_CONN_REFUSED
MQTT_ERR_NOT_FOUND = MQTTErrorCode.MQTT_ERR_NOT_FOUND
MQTT_ERR_CONN_LOST = MQTTErrorCode.MQTT_ERR_CONN_LOST
MQTT_ERR_TLS = MQTTErrorCode.MQTT_ERR_TLS
MQTT_ERR_PAYLOAD_SIZE = MQTTErrorCode.MQTT_ERR_PAYLOAD_SIZE
MQTT_ERR_NOT_SUPPORTED = MQTTErrorCode.MQTT_ERR_NOT_SUPPORTED
MQTT_ERR_AUTH = MQTTErrorCode.MQTT_ERR_AUTH
MQTT_ERR_ACL_DENIED = MQTTErrorCode.MQTT_ERR_ACL_DENIED
MQTT_ERR_UNKNOWN = MQTTErrorCode.MQTT_ERR_UNKNOWN
MQTT_ERR_ERRNO = MQTTErrorCode.MQTT_ERR_ERRNO
MQTT_ERR_QUEUE_SIZE = MQTTErrorCode.MQTT_ERR_QUEUE_SIZE
MQTT_ERR_KEEPALIVE = MQTTErrorCode.MQTT_ERR_KEEPALIVE

CONNACK_ACCEPTED = ConnackCode.CONNACK_ACCEPTED
CONNACK_REFUSED_PROTOCOL_VERSION = ConnackCode.CONNACK_REFUSED_PROTOCOL_VERSION
CONNACK_REFUSED_IDENTIFIER_REJECTED = ConnackCode.CONNACK_REFUSED_IDENTIFIER_REJECTED
CONNACK_REFUSED_SERVER_UNAVAILABLE = ConnackCode.CONNACK_REFUSED_SERVER_UNAVAILABLE
CONNACK_REFUSED_BAD_USERNAME_PASSWORD = ConnackCode.CONNACK_REFUSED_BAD_USERNAME_PASSWORD
CONNACK_REFUSED_NOT_AUTHORIZED = ConnackCode.CONNACK_REFUSED_NOT_AUTHORIZED

MQTTv31 = MQTTProtocolVersion.MQTTv31
MQTTv311 = MQTTProtocolVersion.MQTTv311
MQTTv5 = MQTTProtocolVersion.MQTTv5

MQTT_LOG_INFO = LogLevel.MQTT_LOG_INFO
MQTT_LOG_NOTICE = LogLevel.MQTT_LOG_NOTICE
MQTT_LOG_WARNING = LogLevel.MQTT_LOG_WARNING
MQTT_LOG_ERR = LogLevel.MQTT_LOG_ERR
MQTT_LOG_DEBUG = LogLevel.MQTT_LOG_DEBUG

CONNECT = MessageType.CONNECT
CONNACK = MessageType.CONNACK
PUBLISH = MessageType.PUBLISH
PUBACK = MessageType.PUBACK
PUBREC = MessageType.PUBREC
PUBREL = MessageType.PUBREL
PUBCOMP = MessageType.PUBCOMP
SUBSCRIBE = MessageType.SUBSCRIBE
SUBACK = MessageType.SUBACK
UNSUBSCRIBE = MessageType.UNSUBSCRIBE
UNSUBACK = MessageType.UNSUBACK
PINGREQ = MessageType.PINGREQ
PINGRESP = MessageType.PINGRESP
DISCONNECT = MessageType.DISCONNECT
AUTH = MessageType.AUTH

MQTT_CLIENT = PahoClientMode.MQTT_CLIENT
MQTT_BRIDGE = PahoClientMode.MQTT_BRIDGE

mqtt_ms_invalid = MessageState.MQTT_MS_INVALID
mqtt_ms_publish = MessageState.MQTT_MS_PUBLISH
mqtt_ms_wait_for_puback = MessageState.MQTT_MS_WAIT_FOR_PUBACK
mqtt_ms_wait_for_pubrec = MessageState.MQTT_MS_WAIT_FOR_PUBREC
mqtt_ms_resend_pubrel = MessageState.MQTT_MS_RESEND_PUBREL
mqtt_ms_wait_for_pubrel = MessageState.MQTT_MS_WAIT_FOR_PUBREL
mqtt_ms_resend_pubcomp = MessageState.MQTT_MS_RESEND_PUBCOMP
mqtt_ms_wait_for_pubcomp = MessageState.MQTT_MS_WAIT_FOR_PUBCOMP
mqtt_ms_send_pubrec = MessageState.MQTT_MS_SEND_PUBREC
mqtt_ms_queued = MessageState.MQTT_MS_QUEUED

# Names of paho 1.x.
mqtt_cs_new = ConnectionState.MQTT_CS_NEW
mqtt_cs_connect_async = ConnectionState.MQTT_CS_CONNECT_ASYNC
mqtt_cs_connecting = ConnectionState.MQTT_CS_CONNECTING
mqtt_cs_connected = ConnectionState.MQTT_CS_CONNECTED
mqtt_cs_connection_lost = ConnectionState.MQTT_CS_CONNECTION_LOST
mqtt_cs_disconnecting = ConnectionState.MQTT_CS_DISCONNECTING
mqtt_cs_disconnected = ConnectionState.MQTT_CS_DISCONNECTED

MQTT_CLEAN_START_FIRST_ONLY = 3
"""The only value of `clean_start` that MQTT 3.1.1 has."""

LOGGING_LEVEL = {
    LogLevel.MQTT_LOG_DEBUG: logging.DEBUG,
    LogLevel.MQTT_LOG_INFO: logging.INFO,
    LogLevel.MQTT_LOG_NOTICE: logging.INFO,
    LogLevel.MQTT_LOG_WARNING: logging.WARNING,
    LogLevel.MQTT_LOG_ERR: logging.ERROR,
}
"""The level of `logging` for each of `on_log`."""

__all__ = [
    "CallbackAPIVersion",
    "ConnackCode",
    "ConnectionState",
    "LogLevel",
    "MessageState",
    "MessageType",
    "MQTTErrorCode",
    "MQTTProtocolVersion",
    "PahoClientMode",
    "LOGGING_LEVEL",
    "MQTT_CLEAN_START_FIRST_ONLY",
    "MQTT_ERR_AGAIN",
    "MQTT_ERR_SUCCESS",
    "MQTT_ERR_NOMEM",
    "MQTT_ERR_PROTOCOL",
    "MQTT_ERR_INVAL",
    "MQTT_ERR_NO_CONN",
    "MQTT_ERR_CONN_REFUSED",
    "MQTT_ERR_NOT_FOUND",
    "MQTT_ERR_CONN_LOST",
    "MQTT_ERR_TLS",
    "MQTT_ERR_PAYLOAD_SIZE",
    "MQTT_ERR_NOT_SUPPORTED",
    "MQTT_ERR_AUTH",
    "MQTT_ERR_ACL_DENIED",
    "MQTT_ERR_UNKNOWN",
    "MQTT_ERR_ERRNO",
    "MQTT_ERR_QUEUE_SIZE",
    "MQTT_ERR_KEEPALIVE",
    "CONNACK_ACCEPTED",
    "CONNACK_REFUSED_PROTOCOL_VERSION",
    "CONNACK_REFUSED_IDENTIFIER_REJECTED",
    "CONNACK_REFUSED_SERVER_UNAVAILABLE",
    "CONNACK_REFUSED_BAD_USERNAME_PASSWORD",
    "CONNACK_REFUSED_NOT_AUTHORIZED",
    "MQTTv31",
    "MQTTv311",
    "MQTTv5",
    "MQTT_LOG_INFO",
    "MQTT_LOG_NOTICE",
    "MQTT_LOG_WARNING",
    "MQTT_LOG_ERR",
    "MQTT_LOG_DEBUG",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
    "MQTT_CLIENT",
    "MQTT_BRIDGE",
    "mqtt_ms_invalid",
    "mqtt_ms_publish",
    "mqtt_ms_wait_for_puback",
    "mqtt_ms_wait_for_pubrec",
    "mqtt_ms_resend_pubrel",
    "mqtt_ms_wait_for_pubrel",
    "mqtt_ms_resend_pubcomp",
    "mqtt_ms_wait_for_pubcomp",
    "mqtt_ms_send_pubrec",
    "mqtt_ms_queued",
    "mqtt_cs_new",
    "mqtt_cs_connect_async",
    "mqtt_cs_connecting",
    "mqtt_cs_connected",
    "mqtt_cs_connection_lost",
    "mqtt_cs_disconnecting",
    "mqtt_cs_disconnected",
]
