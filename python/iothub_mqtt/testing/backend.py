"""The other side of a device: what a back-end does through the hub's HTTPS port."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .credential import connection_string_parts, sas_token

API_VERSION = "2021-04-12"
_TIMEOUT = 60.0


class BackendError(Exception):
    """The hub refused a request of the back-end."""

    def __init__(self, status: int, body: bytes) -> None:
        text = body.decode(errors="replace")
        super().__init__(f"the hub answered {status}: {text}")
        self.status = status
        """The status of HTTP."""
        self.body = text


class Backend:
    """Requests with the token of a service connection string. Any thread may use it."""

    def __init__(self, service_connection_string: str, address: tuple[str, int], ca: Path) -> None:
        self._service = connection_string_parts(service_connection_string)
        self._address = address
        self._context = ssl.create_default_context(cafile=str(ca))

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Return what the hub answers, read as JSON, or None where it answers with nothing.

        A body that is not bytes goes as JSON. Raises BackendError for a status that is not 2xx.
        """
        service = self._service
        token = sas_token(
            service["HostName"], service["SharedAccessKey"], policy=service["SharedAccessKeyName"]
        )
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Authorization": token}
        if data is not None and not isinstance(body, bytes):
            sent["Content-Type"] = "application/json; charset=utf-8"
        connection = http.client.HTTPSConnection(*self._address, context=self._context, timeout=_TIMEOUT)
        try:
            connection.request(method, path, data, {**sent, **(headers or {})})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise BackendError(response.status, answer)
        return json.loads(answer) if answer else None


def identity_path(identity: str) -> str:
    """Return the path under `/twins` of a device, `ID`, or of a module, `ID/MODULE`."""
    device, _, module = identity.partition("/")
    path = f"/{urllib.parse.quote(device, safe='')}"
    return f"{path}/modules/{urllib.parse.quote(module, safe='')}" if module else path
