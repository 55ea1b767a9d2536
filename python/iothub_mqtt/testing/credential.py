"""Connection strings and tokens, as far as a test needs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import time
import urllib.parse
from pathlib import Path


def connection_string_parts(text: str) -> dict[str, str]:
    """Return the parts of a connection string by name."""
    return dict(part.split("=", 1) for part in text.split(";"))


def sas_token(resource: str, key: str, *, policy: str | None = None, ttl: float = 3600) -> str:
    """Return a shared access signature for `resource`, a host with a path, that expires in `ttl` seconds."""
    uri = urllib.parse.quote(resource, safe="")
    expiry = int(time.time() + ttl)
    digest = hmac.new(base64.b64decode(key), f"{uri}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    suffix = f"&skn={policy}" if policy else ""
    return f"SharedAccessSignature sr={uri}&sig={signature}&se={expiry}{suffix}"


def group_device_key(group_key: str, registration: str) -> str:
    """Return the key of one device of an enrolment group of the provisioning service."""
    digest = hmac.new(base64.b64decode(group_key), registration.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def thumbprint(certificate: str | Path) -> str:
    """Return the SHA-256 of the first certificate in PEM text or a file of it, as IoT Hub registers it."""
    pem = certificate.read_text() if isinstance(certificate, Path) else certificate
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if begin not in pem or end not in pem:
        raise ValueError("certificate must hold a certificate in PEM")
    pem = pem[pem.index(begin) : pem.index(end) + len(end)]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
