"""The programs on the other side."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 10.0
"""Seconds after which a thing that should have happened has not."""


class Lines:
    """The JSON lines of a program, as they come."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def follow(self, stream: Any) -> None:
        for line in stream:
            with self._changed:
                self._lines.append(json.loads(line))
                self._changed.notify_all()

    def all(self, **expected: Any) -> list[dict[str, Any]]:
        with self._changed:
            return [line for line in self._lines if expected.items() <= line.items()]

    def wait(self, count: int = 1, **expected: Any) -> list[dict[str, Any]]:
        """Wait for `count` lines that have these entries; return all that have."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: len(self.all_locked(expected)) >= count and self.all_locked(expected), PATIENCE
            )
            assert found, f"no {count} of {expected} in {self._lines[-20:]}"
            return list(found)

    def all_locked(self, expected: dict[str, Any]) -> list[dict[str, Any]]:
        return [line for line in self._lines if expected.items() <= line.items()]


class Hub:
    """The local hub, with as many devices as tests ask for."""

    name = "testhub"
    host = "127.0.0.1"

    def __init__(self, directory: Path) -> None:
        program = Path(os.environ.get("IOTHUB_EMULATOR", ROOT / "target/debug/iothub-emulator"))
        if not program.exists():
            pytest.fail(f"{program} is missing; build it with: cargo build -p iothub-emulator")
        devices = [f"--device=dev{n}" for n in range(200)]
        arguments = [
            *("--mqtt-port", "0", "--https-port", "0", "--events", "-", "--exit-with-stdin"),
            *("--name", f"{self.name}.azure-devices.net", "--host", self.host, "--certs", str(directory)),
        ]
        self._process = subprocess.Popen(
            [program, *arguments, *devices], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.port: int = ready["mqtt_port"]
        self.ca: str = ready["ca"]
        self._https_port: int = ready["https_port"]
        self._service = _parts(ready["service_connection_string"])
        self._devices = {d["id"]: _parts(d["connection_string"]) for d in ready["devices"]}
        self._unused = iter(self._devices)
        self.events = Lines()
        self._follower = threading.Thread(target=self.events.follow, args=(self._process.stdout,))
        self._follower.start()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._follower.join(PATIENCE)
        self._process.stdout.close()

    def device(self) -> str:
        """Return the id of a device that nobody has used."""
        return next(self._unused)

    @property
    def hub_host(self) -> str:
        return f"{self.name}.azure-devices.net"

    def username(self, device: str) -> str:
        return f"{self.hub_host}/{device}/?api-version=2021-04-12"

    def token(self, device: str, host: str | None = None) -> str:
        """Return a token; `host` is how the script names the hub, if not as the hub does."""
        resource = f"{host or self.hub_host}/devices/{device}"
        return _token(resource, self._devices[device]["SharedAccessKey"])

    def fault(self, **fault: Any) -> None:
        status, body = self._call("POST", "/emulator/faults", fault)
        assert status == 200, body

    def send(self, device: str, body: bytes, **headers: str) -> None:
        path = f"/devices/{device}/messages/devicebound?api-version=2021-04-12"
        status, answer = self._call("POST", path, body, headers)
        assert status in (200, 204), answer

    def _call(
        self, method: str, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=self.ca)
        service = self._service
        token = _token(service["HostName"], service["SharedAccessKey"], service["SharedAccessKeyName"])
        connection = http.client.HTTPSConnection(
            self.host, self._https_port, context=context, timeout=PATIENCE
        )
        try:
            data = body if isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data, {"Authorization": token, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def take_interrupts() -> None:
    """Give SIGINT its meaning in a child, also where this process was started without it.

    A shell's background job ignores the signal, its children inherit that, and Python then has no KeyboardInterrupt.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _parts(connection_string: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in connection_string.split(";"))


def _token(resource: str, key: str, policy: str | None = None) -> str:
    uri = urllib.parse.quote(resource, safe="")
    expiry = int(time.time()) + 3600
    digest = hmac.new(base64.b64decode(key), f"{uri}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    suffix = f"&skn={policy}" if policy else ""
    return f"SharedAccessSignature sr={uri}&sig={signature}&se={expiry}{suffix}"


def openssl(*arguments: str | Path, stdin: str | None = None) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, input=stdin, text=True)


class Certificates:
    """A root, a server for localhost, and a client with a plain and an encrypted key."""

    def __init__(self, directory: Path) -> None:
        self.ca, ca_key = directory / "ca.pem", directory / "ca.key"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        openssl("req", "-x509", *curve, *usage, "-keyout", ca_key, "-out", self.ca, "-subj", "/CN=test root")
        self.issue = lambda name, extension: self._issue(directory, ca_key, name, extension)
        self.server, self.server_key = self.issue("server", "subjectAltName=DNS:localhost")
        self.client, self.client_key = self.issue("client", "extendedKeyUsage=clientAuth")
        self.password = "a-secret-password"
        self.encrypted_key = directory / "encrypted.key"
        openssl(
            *("pkcs8", "-topk8", "-in", self.client_key, "-out", self.encrypted_key),
            *("-passout", f"pass:{self.password}"),
        )

    def _issue(self, directory: Path, ca_key: Path, name: str, extension: str) -> tuple[Path, Path]:
        key, request, certificate = (directory / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = directory / f"{name}.ext"
        extensions.write_text(
            f"basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n{extension}\n"
        )
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", *curve, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial"),
            *("-out", certificate, "-days", "30", "-extfile", extensions),
        )
        return certificate, key


class Broker:
    """mosquitto: a plain listener, one with TLS, and one that asks for client certificates."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.fail("mosquitto is missing; install it with: apt-get install mosquitto")
        self.certificates = certificates = Certificates(directory)
        tls = f"cafile {certificates.ca}\ncertfile {certificates.server}\nkeyfile {certificates.server_key}\n"
        # mosquitto cannot be given port 0; another try follows when somebody took one meanwhile.
        for _ in range(5):
            self.port, self.tls_port, self.client_port = _free_ports(3)
            configuration = directory / "mosquitto.conf"
            configuration.write_text(
                "persistence false\nlog_type error\nmax_queued_messages 0\n"
                f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
                f"listener {self.tls_port} 127.0.0.1\n{tls}"
                f"listener {self.client_port} 127.0.0.1\n{tls}require_certificate true\n"
            )
            # As root it would change to a user that cannot read the key.
            if os.geteuid() == 0:
                configuration.write_text("user root\n" + configuration.read_text())
            self._process = subprocess.Popen([program, "-c", configuration])
            if self._answers():
                return
            self._process.kill()
            self._process.wait()
        pytest.fail("mosquitto does not start")

    def _answers(self) -> bool:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.client_port), PATIENCE).close()
                return True
            except ConnectionRefusedError:
                pass
        return False

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def until(condition: Callable[[], bool], turn: Callable[[], Any]) -> None:
    """Call `turn` until `condition` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        turn()
