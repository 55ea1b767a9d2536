"""What the tests talk to: the local hub, and mosquitto for what no hub does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from peers import Broker, Hub


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def sample_dir() -> Path:
    return Path(__file__).parent / "samples"
