"""One way to talk to both of azure-iot-device's clients, the blocking one and the one for asyncio."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

import azure.iot.device
import azure.iot.device.aio

PATIENCE = 20.0
"""Seconds after which a thing that should have happened has not."""

FACES = ["sync", "aio"]
TRANSPORTS = ["tcp", "websocket"]


class Loop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asyncio")
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Client:
    """A client of either kind: `client.do("send_message", ...)` waits for the end in both."""

    def __init__(self, sdk: Any, loop: Loop | None) -> None:
        self.sdk = sdk
        self._loop = loop
        self._closed = False

    def do(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        function = getattr(self.sdk, name)
        if self._loop is None:
            return function(*arguments, **keywords)

        async def call() -> Any:
            return await function(*arguments, **keywords)

        return self._loop.run(call())

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Set a handler; the asyncio client gets a coroutine function."""
        if self._loop is None:
            setattr(self.sdk, event, handler)
            return

        async def coroutine(*arguments: Any) -> None:
            handler(*arguments)

        async def assign() -> None:
            setattr(self.sdk, event, coroutine)

        self._loop.run(assign())

    def collect(self, event: str) -> queue.Queue[Any]:
        """Set a handler that puts what comes into the queue that is returned."""
        seen: queue.Queue[Any] = queue.Queue()
        self.on(event, lambda *arguments: seen.put(arguments[0] if arguments else None))
        return seen

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            # The client of the provisioning service has nothing to shut down.
            if hasattr(self.sdk, "shutdown"):
                self.do("shutdown")


class Clients:
    """Makes clients of one kind over one transport, and ends them."""

    def __init__(self, face: str, transport: str) -> None:
        self.websockets = transport == "websocket"
        self._loop = Loop() if face == "aio" else None
        self._package = azure.iot.device.aio if face == "aio" else azure.iot.device
        self._clients: list[Client] = []

    @property
    def protocol(self) -> str:
        """What the hub calls the transport."""
        return "websocket" if self.websockets else "mqtt"

    def make(self, kind: str, constructor: str, *arguments: Any, **options: Any) -> Client:
        """Call a constructor of the SDK's class `kind`, with the transport and the hub's authority."""

        def construct() -> Any:
            # The constructor looks for the running loop.
            create = getattr(getattr(self._package, kind), constructor)
            return create(*arguments, websockets=self.websockets, **options)

        async def construct_on_loop() -> Any:
            return construct()

        sdk = construct() if self._loop is None else self._loop.run(construct_on_loop())
        client = Client(sdk, self._loop)
        self._clients.append(client)
        return client

    def device(self, connection_string: str, ca: str, **options: Any) -> Client:
        return self.make(
            "IoTHubDeviceClient",
            "create_from_connection_string",
            connection_string,
            server_verification_cert=ca,
            **options,
        )

    def module(self, connection_string: str, ca: str, **options: Any) -> Client:
        return self.make(
            "IoTHubModuleClient",
            "create_from_connection_string",
            connection_string,
            server_verification_cert=ca,
            **options,
        )

    def close(self) -> None:
        try:
            for client in self._clients:
                client.close()
        finally:
            if self._loop is not None:
                self._loop.close()
