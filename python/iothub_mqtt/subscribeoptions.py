"""MQTT 5 subscription options, which exist to be named and refused."""

from __future__ import annotations

from .exception import MQTTException


class SubscribeOptions:
    """Options of an MQTT 5 subscription. Making one raises MQTTException."""

    RETAIN_SEND_ON_SUBSCRIBE = 0
    RETAIN_SEND_IF_NEW_SUB = 1
    RETAIN_DO_NOT_SEND = 2

    def __init__(
        self,
        qos: int = 0,
        noLocal: bool = False,
        retainAsPublished: bool = False,
        retainHandling: int = RETAIN_SEND_ON_SUBSCRIBE,
    ) -> None:
        raise MQTTException(
            "subscription options are MQTT 5; IoT Hub and this client speak MQTT 3.1.1: pass qos instead"
        )
