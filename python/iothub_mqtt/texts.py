"""Numbers in words, and numbers of one kind as numbers of another."""

from __future__ import annotations

from .enums import ConnackCode, MQTTErrorCode
from .packettypes import PacketTypes
from .reasoncodes import ReasonCode

_ERRORS = {
    MQTTErrorCode.MQTT_ERR_AGAIN: "The call would have to wait; try again.",
    MQTTErrorCode.MQTT_ERR_SUCCESS: "No error.",
    MQTTErrorCode.MQTT_ERR_NOMEM: "Out of memory.",
    MQTTErrorCode.MQTT_ERR_PROTOCOL: "The peer broke the MQTT protocol.",
    MQTTErrorCode.MQTT_ERR_INVAL: "An argument is not valid.",
    MQTTErrorCode.MQTT_ERR_NO_CONN: "The client is not connected.",
    MQTTErrorCode.MQTT_ERR_CONN_REFUSED: "The server refused the connection.",
    MQTTErrorCode.MQTT_ERR_NOT_FOUND: "Not found.",
    MQTTErrorCode.MQTT_ERR_CONN_LOST: "The connection was lost.",
    MQTTErrorCode.MQTT_ERR_TLS: "TLS failed.",
    MQTTErrorCode.MQTT_ERR_PAYLOAD_SIZE: "The payload is too large.",
    MQTTErrorCode.MQTT_ERR_NOT_SUPPORTED: "Not supported.",
    MQTTErrorCode.MQTT_ERR_AUTH: "Not authorized.",
    MQTTErrorCode.MQTT_ERR_ACL_DENIED: "Access denied.",
    MQTTErrorCode.MQTT_ERR_UNKNOWN: "Unknown error.",
    MQTTErrorCode.MQTT_ERR_ERRNO: "A system call failed.",
    MQTTErrorCode.MQTT_ERR_QUEUE_SIZE: "The queue of messages is full.",
    MQTTErrorCode.MQTT_ERR_KEEPALIVE: "The server did not answer within the keep-alive.",
}

_CONNACKS = {
    0: "Connection Accepted.",
    1: "Connection Refused: unacceptable protocol version.",
    2: "Connection Refused: identifier rejected.",
    3: "Connection Refused: broker unavailable.",
    4: "Connection Refused: bad user name or password.",
    5: "Connection Refused: not authorised.",
}

_CONNACK_REASONS = {0: 0, 1: 132, 2: 133, 3: 136, 4: 134, 5: 135}

_DISCONNECT_REASONS = {
    MQTTErrorCode.MQTT_ERR_SUCCESS: 0,
    MQTTErrorCode.MQTT_ERR_KEEPALIVE: 141,
    MQTTErrorCode.MQTT_ERR_PROTOCOL: 130,
}


def error_string(mqtt_errno: MQTTErrorCode | int) -> str:
    """Return what an error code says, for people."""
    try:
        return _ERRORS[MQTTErrorCode(mqtt_errno)]
    except ValueError:
        return "Unknown error."


def connack_string(connack_code: int | ReasonCode) -> str:
    """Return what the code of a CONNACK says, for people."""
    if isinstance(connack_code, ReasonCode):
        return str(connack_code)
    return _CONNACKS.get(connack_code, "Connection Refused: unknown reason.")


def convert_connack_rc_to_reason_code(connack_code: ConnackCode | int) -> ReasonCode:
    """Return the reason code for the code of a CONNACK of MQTT 3.1.1."""
    value = _CONNACK_REASONS.get(int(connack_code), 128)
    return ReasonCode(PacketTypes.CONNACK, identifier=value)


def convert_disconnect_error_code_to_reason_code(rc: MQTTErrorCode) -> ReasonCode:
    """Return the reason code for the error code with which a connection ended."""
    return ReasonCode(PacketTypes.DISCONNECT, identifier=_DISCONNECT_REASONS.get(rc, 128))
