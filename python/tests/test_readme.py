"""What the README shows in Python is run as it stands."""

from __future__ import annotations

import os
import subprocess
import sys

from iothub_mqtt.testing import Hub
from peers import PATIENCE, ROOT


def test_the_device_in_python(hub: Hub, device: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    source = readme.split("```python\n", 1)[1].split("```", 1)[0]
    environment = os.environ | {
        "IOTHUB_HOST": hub.host,
        "IOTHUB_DEVICE": device,
        "IOTHUB_SAS_TOKEN": hub.token(device, host=hub.host),
        "IOTHUB_TRUSTED_ROOTS": str(hub.ca),
        "IOTHUB_PORT": str(hub.mqtt_port),
    }
    run = subprocess.run(
        [sys.executable, "-c", source], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "connected: Success\nthe hub has message 1\n", "")
    event = hub.events.wait(event="telemetry", device=device)
    assert event["body"] == '{"t": 21.5}'
    assert event["properties"] == {"alert": "no"}
