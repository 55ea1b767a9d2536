"""What the tests of azure-iot-hub, the SDK of back-ends, share.

It reaches the hub over HTTPS but for cloud-to-device messages, which it sends over AMQP: those are not tested here,
because the local hub has no AMQP.
"""

from __future__ import annotations

import base64
import json
import os

import pytest
from msrest.exceptions import HttpOperationError


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


class Refused:
    """Expects the SDK to raise what the hub refused with; `status` is that of HTTP, and `code` its reason."""

    def __init__(self, status: int, code: str | None = None) -> None:
        self._status = status
        self._code = code
        self._raises = pytest.raises(HttpOperationError)

    def __enter__(self) -> None:
        self._caught = self._raises.__enter__()

    def __exit__(self, *error: object) -> bool | None:
        swallowed = self._raises.__exit__(*error)  # type: ignore[arg-type]
        response = self._caught.value.response
        assert response.status_code == self._status, response.text
        message = response.json()["Message"]
        # The failure of a method's callee is JSON within JSON.
        assert message.startswith("ErrorCode:") or json.loads(message)["errorCode"] // 1000 == self._status
        if self._code is not None:
            assert response.headers["iothub-errorcode"] == self._code, response.text
        return swallowed
