"""A local hub for the time of a test."""

from __future__ import annotations

import json
import os
import random
import socket
import tempfile
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from .backend import API_VERSION, Backend, identity_path
from .credential import connection_string_parts, group_device_key, sas_token, thumbprint
from .events import Events
from .program import EmulatorError, Running, find_program

MQTT_PORT, HTTPS_PORT = 8883, 443
_TRIES = 10

Keyed = Iterable[str] | Mapping[str, str | None]
"""Ids, or ids with a key in base64 each; None and an id alone have a key made up."""


@dataclass(frozen=True)
class Provisioning:
    """The device provisioning service of a hub. It is reached where the hub is."""

    id_scope: str
    enrollments: Mapping[str, str | None] = field(repr=False)
    """Registration ids and their keys; None where a certificate proves who it is."""
    groups: Mapping[str, str | None] = field(repr=False)
    """Names of enrolment groups and their keys."""

    def key(self, registration: str, group: str | None = None) -> str:
        """Return the key of a device: of its own enrolment, or made from that of its group."""
        known = self.enrollments if group is None else self.groups
        name = registration if group is None else group
        key = known.get(name)
        if key is None:
            raise KeyError(f"{name} has no key; those that have: {', '.join(k for k in known if known[k])}")
        return key if group is None else group_device_key(key, registration)


class Hub:
    """A running local hub; `start_hub` makes one. It ends with `close`, at the end of `with`, or with this process."""

    def __init__(self, running: Running, name: str, directory: tempfile.TemporaryDirectory[str] | None) -> None:
        self._running = running
        self._directory = directory
        ready = self.ready = running.ready
        """The hub's first line as it is."""
        self.name = name
        """The host name in the connection strings."""
        self.host: str = ready["host"]
        """The address to connect to."""
        self.mqtt_port: int = ready["mqtt_port"]
        self.https_port: int = ready["https_port"]
        """The port of the service API and of MQTT over WebSocket."""
        self.ca = Path(ready["ca"])
        """The file with the certificate authority that a client has to trust."""
        self.service_connection_string: str = ready["service_connection_string"]
        self.events: Events = running.events
        dps = ready.get("dps")
        self.dps: Provisioning | None = None
        if dps is not None:
            self.dps = Provisioning(
                dps["id_scope"],
                {e["registration"]: e.get("key") for e in dps.get("enrollments", ())},
                {g["name"]: g.get("key") for g in dps.get("groups", ())},
            )
        self._identities: dict[str, str] = {
            d["id"]: d["connection_string"] for d in ready["devices"] if d["connection_string"]
        }
        self._backend = Backend(self.service_connection_string, (self.host, self.https_port), self.ca)

    def __repr__(self) -> str:
        return f"<Hub {self.name} at {self.host}, ports {self.mqtt_port} and {self.https_port}>"

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the hub; again, it does nothing. Raises EmulatorError if it had failed."""
        try:
            self._running.close()
        finally:
            if self._directory is not None:
                self._directory.cleanup()

    @property
    def ca_pem(self) -> str:
        """The certificate authority as text, as azure-iot-device wants it for `server_verification_cert`."""
        return self.ca.read_text()

    @property
    def identities(self) -> list[str]:
        """The devices, `ID`, and modules, `ID/MODULE`, that the hub was started with."""
        return list(self._identities)

    def connection_string(self, identity: str) -> str:
        """Return the connection string of a device, `ID`, or of a module, `ID/MODULE`."""
        try:
            return self._identities[identity]
        except KeyError:
            raise KeyError(f"the hub was started without {identity}; it has {', '.join(self.identities)}") from None

    def key(self, identity: str) -> str:
        """Return the primary key of a device or module, in base64."""
        return connection_string_parts(self.connection_string(identity))["SharedAccessKey"]

    def token(self, identity: str, *, ttl: float = 3600, host: str | None = None) -> str:
        """Return a SAS token of a device or module, for clients that take one as their password."""
        return sas_token(f"{host or self.name}/devices{identity_path(identity)}", self.key(identity), ttl=ttl)

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Make a request of the service API with all rights; return the answer, read as JSON, or None.

        `path` gets the version of the API where it names none. A body that is not bytes goes as JSON.
        Raises BackendError for a status that is not 2xx.
        """
        if "api-version=" not in path:
            path += ("&" if "?" in path else "?") + f"api-version={API_VERSION}"
        return self._backend.request(method, path, body, headers)

    def send(
        self,
        device: str,
        body: bytes | str | Mapping[str, Any],
        *,
        properties: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a cloud-to-device message; a mapping goes as JSON with its content type.

        `properties` are the application's; `headers` are the service API's, such as `iothub-messageid`,
        `iothub-correlationid`, `iothub-expiry`, `iothub-ack`.
        """
        sent = dict(headers or {})
        if isinstance(body, Mapping):
            body = json.dumps(body)
            sent = {"content-type": "application/json", "content-encoding": "utf-8", **sent}
        data = body.encode() if isinstance(body, str) else body
        sent.update({f"iothub-app-{name}": value for name, value in (properties or {}).items()})
        self.request("POST", f"/devices{identity_path(device)}/messages/devicebound", data, sent)

    def send_to_input(
        self, module: str, name: str, body: bytes | str, *, properties: Mapping[str, str] | None = None
    ) -> None:
        """Send a message to an input of a module, `ID/MODULE`, as another module's output would."""
        sent = {f"iothub-app-{key}": value for key, value in (properties or {}).items()}
        data = body.encode() if isinstance(body, str) else body
        path = f"/devices{identity_path(module)}/inputs/{urllib.parse.quote(name, safe='')}"
        self.request("POST", path, data, sent)

    def twin(self, identity: str) -> dict[str, Any]:
        """Return the twin of a device or module, tags and metadata included."""
        twin: dict[str, Any] = self.request("GET", f"/twins{identity_path(identity)}")
        return twin

    def update_desired(self, identity: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Merge `patch` into the desired properties; None deletes. Returns the twin."""
        body = {"properties": {"desired": patch}}
        twin: dict[str, Any] = self.request("PATCH", f"/twins{identity_path(identity)}", body)
        return twin

    def call_method(
        self, identity: str, name: str, payload: object = None, *, timeout: int = 30, connect_timeout: int = 0
    ) -> tuple[int, Any]:
        """Call a direct method; return the status and the payload that the device answered with.

        `timeout`, 5 to 300, is how many seconds the device has to answer; `connect_timeout`, 0 to 300, how many it has
        to connect. Raises BackendError with status 404 when it is not there and 504 when it does not answer.
        """
        call = {
            "methodName": name,
            "payload": payload,
            "responseTimeoutInSeconds": timeout,
            "connectTimeoutInSeconds": connect_timeout,
        }
        answer = self.request("POST", f"/twins{identity_path(identity)}/methods", call)
        return answer["status"], answer["payload"]

    def fault(self, fault: str, device: str = "*", **options: int) -> None:
        """Make something go wrong: `iothub-emulator --help` lists the faults and their options."""
        self._backend.request("POST", "/emulator/faults", {"fault": fault, "device": device, **options})


StartHub = Callable[..., Hub]
"""What the fixture `iothub_hub` is: `start_hub`, with the end of each hub taken care of."""


def start_hub(
    *,
    devices: Keyed = (),
    modules: Keyed = (),
    x509: Mapping[str, str | Path] | None = None,
    x509_ca: Iterable[str] = (),
    x509_roots: Iterable[str | Path] = (),
    routes: Mapping[str, str] | None = None,
    dps_scope: str | None = None,
    enrollments: Keyed = (),
    enrollment_groups: Keyed = (),
    settings: Mapping[str, object] | None = None,
    config: str | os.PathLike[str] | None = None,
    standard_ports: bool = False,
    host: str | None = None,
    name: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    program: str | os.PathLike[str] | None = None,
    arguments: Sequence[str] = (),
) -> Hub:
    """Start a local hub and return it when it listens.

    Args:
        devices: Devices with keys.
        modules: Modules with keys, `DEVICE/MODULE`.
        x509: Devices with a certificate each: its thumbprint as text, or the file that it is in.
        x509_ca: Devices whose certificate an authority in `x509_roots` signed.
        x509_roots: Files with those authorities.
        routes: From a module's output, `DEVICE/MODULE/OUTPUT`, to a module's input, `DEVICE/MODULE/INPUT`.
        dps_scope: The id scope of the provisioning service; made up where enrolments are given without.
        enrollments: Registration ids with keys.
        enrollment_groups: Names of enrolment groups with keys.
        settings: Settings of the hub by name.
        config: A file `hub.toml` with all that and more; what is said here wins.
        standard_ports: Listen on 8883 and 443, for clients that know only those, at a loopback address of its own
            (127.x.y.z), which is also the host name. Needs the right to open 443. Otherwise both ports are free ones.
        host: The address to listen on; 127.0.0.1 otherwise.
        name: The host name in the certificate and the connection strings; `localhost` otherwise.
        directory: Where the certificates and keys are kept; otherwise they go away with the hub.
        program: The program; otherwise what the environment's IOTHUB_EMULATOR names, or the one in PATH.
        arguments: More arguments for the program.

    Raises:
        EmulatorError: There is no program, or it does not start; the text says why.
    """
    found = find_program(program)
    given = [
        *_keyed("--device", devices),
        *_keyed("--module", modules),
        *(f"--x509={id}={thumbprint(c) if isinstance(c, Path) else c}" for id, c in (x509 or {}).items()),
        *(f"--x509-ca={id}" for id in x509_ca),
        *(f"--x509-root={os.fspath(root)}" for root in x509_roots),
        *(f"--route={start}={end}" for start, end in (routes or {}).items()),
        *([f"--dps-scope={dps_scope}"] if dps_scope is not None else []),
        *_keyed("--enroll", enrollments),
        *_keyed("--enroll-group", enrollment_groups),
        *(f"--setting={setting}={_text(value)}" for setting, value in (settings or {}).items()),
        *([f"--config={os.fspath(config)}"] if config is not None else []),
        *arguments,
    ]
    temporary = tempfile.TemporaryDirectory(prefix="iothub-emulator-") if directory is None else None
    certs = temporary.name if temporary is not None else os.fspath(directory or ".")
    mqtt_port, https_port = (MQTT_PORT, HTTPS_PORT) if standard_ports else (0, 0)
    try:
        for tries_left in reversed(range(_TRIES)):
            own = standard_ports and host is None
            address = _own_address() if own else host or "127.0.0.1"
            called = name or (address if own else "localhost")
            try:
                running = Running(
                    found,
                    [
                        *(f"--host={address}", f"--name={called}", f"--certs={certs}"),
                        *(f"--mqtt-port={mqtt_port}", f"--https-port={https_port}", *given),
                    ],
                )
            except EmulatorError:
                # Somebody else may have taken the address since it was tried.
                if own and tries_left and not _is_free(address):
                    continue
                raise
            return Hub(running, called, temporary)
        raise AssertionError("the last try returns or raises")
    except BaseException:
        if temporary is not None:
            temporary.cleanup()
        raise


def _keyed(option: str, given: Keyed) -> list[str]:
    if isinstance(given, str):
        given = (given,)
    keys = given if isinstance(given, Mapping) else dict.fromkeys(given)
    return [f"{option}={id}" if key is None else f"{option}={id}={key}" for id, key in keys.items()]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _own_address() -> str:
    """Return a loopback address with both standard ports free."""
    for _ in range(_TRIES):
        address = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        if _is_free(address):
            return address
    raise EmulatorError("no loopback address has its ports 8883 and 443 free")


def _is_free(address: str) -> bool:
    for port in (MQTT_PORT, HTTPS_PORT):
        try:
            socket.create_server((address, port)).close()
        except PermissionError as error:
            raise EmulatorError(
                f"port {port} may not be opened ({os.strerror(error.errno)}): run as root, with CAP_NET_BIND_SERVICE, after "
                "`sysctl net.ipv4.ip_unprivileged_port_start=443`, or inside `unshare --map-root-user --net`"
            ) from None
        except OSError:
            return False
    return True
