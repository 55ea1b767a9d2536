"""The programs on the other side."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iothub_mqtt.testing import Hub

ROOT = Path(__file__).parents[2]
PATIENCE = 10.0
"""Seconds after which a thing that should have happened has not."""


def username(hub: Hub, device: str) -> str:
    """Return what a device says in CONNECT."""
    return f"{hub.name}/{device}/?api-version=2021-04-12"


def take_interrupts() -> None:
    """Give SIGINT its meaning in a child, also where this process was started without it.

    A shell's background job ignores the signal, its children inherit that, and Python then has no KeyboardInterrupt.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
