"""The fixtures; pytest loads them by itself where this package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import Hub, StartHub


@pytest.fixture
def iothub_hub() -> Iterator[StartHub]:
    """Start local hubs that end with the test; takes the arguments of `iothub_mqtt.testing.start_hub`."""
    # Not at the top: this module is loaded by every run of pytest where the package is installed.
    from . import EmulatorError, start_hub

    with ExitStack() as hubs:

        def start(**options: object) -> Hub:
            try:
                return hubs.enter_context(start_hub(**options))  # type: ignore[arg-type]
            except EmulatorError as error:
                why = str(error)
            pytest.fail(why, pytrace=False)

        yield start
