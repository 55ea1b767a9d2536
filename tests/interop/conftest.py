"""A hub at an address of its own for each test, with the standard ports, and clients of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.iot.hub import IoTHubRegistryManager

from client import FACES, TRANSPORTS, Client, Clients
from iothub_mqtt.testing import Hub, StartHub


@pytest.fixture
def start(iothub_hub: StartHub) -> StartHub:
    """`iothub_mqtt.testing.start_hub` with the only ports that the SDKs know."""

    def start(**options: Any) -> Hub:
        return iothub_hub(standard_ports=True, **options)

    return start


@pytest.fixture
def hub(start: StartHub) -> Hub:
    """A hub with one device, `d`."""
    return start(devices=["d"])


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=FACES)
def clients(request: pytest.FixtureRequest, transport: str) -> Iterator[Clients]:
    """Clients over each transport, blocking and for asyncio."""
    clients = Clients(request.param, transport)
    yield clients
    clients.close()


@pytest.fixture
def device(hub: Hub, clients: Clients) -> Callable[..., Client]:
    """Make a client of the device `d`, with options of the SDK."""
    return lambda **options: clients.device(hub.connection_string("d"), hub.ca_pem, **options)


@pytest.fixture
def trusted(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub, with its authority where the SDK of back-ends looks for authorities."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca))
    return hub


@pytest.fixture
def registry(trusted: Hub) -> IoTHubRegistryManager:
    return IoTHubRegistryManager.from_connection_string(trusted.service_connection_string)
