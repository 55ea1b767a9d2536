"""Azure IoT Hub device client over MQTT 3.1.1.

`iothub_mqtt.client` has the interface of paho-mqtt: a device script runs with only its import changed.
"""

from __future__ import annotations

import logging

from .exception import MQTTException

__version__ = "0.1.0"
__all__ = ["MQTTException", "__version__"]

logging.getLogger(__name__).addHandler(logging.NullHandler())
