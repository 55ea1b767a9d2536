"""A local IoT Hub for tests.

`start_hub` starts the program `iothub-emulator` and hands out what a test needs: connection strings, the certificate
authority, what happened at the hub, and what a back-end does. Nothing here needs the client of this package, so programs
that stand on other SDKs can be tested as well.

With pytest, the fixture `iothub_hub` is there where this package is installed::

    def test_the_program_reports_its_start(iothub_hub):
        hub = iothub_hub(devices=["gauge-1"])
        my_program.start(hub.connection_string("gauge-1"), port=hub.mqtt_port, roots=hub.ca)
        event = hub.events.wait(event="telemetry", device="gauge-1")
        assert event["properties"] == {"kind": "started"}
"""

from __future__ import annotations

from .backend import BackendError
from .credential import group_device_key, sas_token, thumbprint
from .events import Event, Events
from .hub import Hub, Provisioning, StartHub, start_hub
from .program import EmulatorError, find_program

__all__ = [
    "BackendError",
    "EmulatorError",
    "Event",
    "Events",
    "Hub",
    "Provisioning",
    "StartHub",
    "find_program",
    "group_device_key",
    "sas_token",
    "start_hub",
    "thumbprint",
]
