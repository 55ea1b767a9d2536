"""A local hub for a test, and devices of somebody else's that talk to it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import queue
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt

# Only a failing test waits for it.
PATIENCE = 30
PROGRAM = os.environ.get("IOTHUB_EMULATOR", "iothub-emulator")


def sas_token(resource: str, key: str, policy: str | None = None) -> str:
    expiry = int(time.time()) + 3600
    quoted = urllib.parse.quote(resource, safe="")
    digest = hmac.new(base64.b64decode(key), f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    name = f"&skn={policy}" if policy else ""
    return f"SharedAccessSignature sr={quoted}&sig={signature}&se={expiry}{name}"


def fields(connection_string: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in connection_string.split(";"))


class LocalHub:
    """The program, on free ports at first and on the same ones after a restart."""

    def __init__(self, certs: Path, *options: str) -> None:
        self._certs = certs
        self._options = options
        self.mqtt_port = self.https_port = 0
        self.start()

    def start(self) -> None:
        command = [
            PROGRAM,
            f"--mqtt-port={self.mqtt_port}",
            f"--https-port={self.https_port}",
            f"--certs={self._certs}",
            "--exit-with-stdin",
            *self._options,
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.mqtt_port, self.https_port = ready["mqtt_port"], ready["https_port"]
        self.ca = ready["ca"]
        self.service = fields(ready["service_connection_string"])
        self.connection_strings = {entry["id"]: entry["connection_string"] for entry in ready["devices"]}

    def stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}/"

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Ask the service API, or with headers of one's own what asks for no token."""
        service = self.service
        if headers is None:
            token = sas_token(service["HostName"], service["SharedAccessKey"], service["SharedAccessKeyName"])
            headers = {"Authorization": token, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(
                request, timeout=PATIENCE, context=ssl.create_default_context(cafile=self.ca)
            ) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def twin(self, device: str) -> Any:
        return json.loads(self.call("GET", f"twins/{device}?api-version=2021-04-12")[1])

    @contextlib.contextmanager
    def device(self, name: str, key: str | None = None, connect: bool = True) -> Iterator[Device]:
        device = Device(self, name, key)
        try:
            if connect:
                device.connect()
            yield device
        finally:
            device.close()


class Device:
    """A paho client in the part of a device; what comes in waits in queues."""

    def __init__(self, hub: LocalHub, name: str, key: str | None = None) -> None:
        self.name = name
        self._hub = hub
        parts = fields(hub.connection_strings.get(name, f"HostName=localhost;SharedAccessKey={key}"))
        self._token = sas_token(f"localhost/devices/{name}", key or parts["SharedAccessKey"])
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.connects: queue.Queue[int] = queue.Queue()
        self.disconnects: queue.Queue[int] = queue.Queue()
        self._subscribed: queue.Queue[int] = queue.Queue()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv311)
        self.client.username_pw_set(f"localhost/{name}/?api-version=2021-04-12", self._token)
        self.client.tls_set(hub.ca)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self.connects.put(reason.value)
        self.client.on_disconnect = lambda _c, _u, _f, reason, _p: self.disconnects.put(reason.value)
        self.client.on_subscribe = lambda _c, _u, mid, _r, _p: self._subscribed.put(mid)
        self.client.on_message = lambda _c, _u, message: self._take(message)

    def connect(self) -> int:
        """Connect; the return code of the CONNACK."""
        self.client.connect("localhost", self._hub.mqtt_port)
        self.client.loop_start()
        return self.connects.get(timeout=PATIENCE)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, *topics: str) -> None:
        for topic in topics:
            self.client.subscribe(topic, 1)
            self._subscribed.get(timeout=PATIENCE)

    def send(self, body: str | bytes, properties: dict[str, str] | None = None) -> None:
        bag = urllib.parse.urlencode(properties or {}, quote_via=urllib.parse.quote)
        topic = f"devices/{self.name}/messages/events/{bag}"
        self.client.publish(topic, body, 1).wait_for_publish(PATIENCE)

    def next(self) -> mqtt.MQTTMessage:
        return self.messages.get(timeout=PATIENCE)

    def _take(self, message: mqtt.MQTTMessage) -> None:
        # A method is answered with what it was sent.
        if message.topic.startswith("$iothub/methods/POST/"):
            request = message.topic.rsplit("=", 1)[1]
            self.client.publish(f"$iothub/methods/res/207/?$rid={request}", message.payload, 0)
        self.messages.put(message)
