"""What the tests talk to: the local hub, and mosquitto for what no hub does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from iothub_mqtt.testing import Hub, start_hub
from peers import ROOT, Broker

DEVICES = [f"dev{n}" for n in range(200)]


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    program = os.environ.get("IOTHUB_EMULATOR", ROOT / "target/debug/iothub-emulator")
    with start_hub(program=program, name="testhub.azure-devices.net", devices=DEVICES) as hub:
        yield hub


@pytest.fixture(scope="session")
def unused_devices() -> Iterator[str]:
    return iter(DEVICES)


@pytest.fixture
def device(unused_devices: Iterator[str]) -> str:
    """The id of a device that no other test uses."""
    return next(unused_devices)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def sample_dir() -> Path:
    return Path(__file__).parent / "samples"
