"""What `tls_set` asks for: by the native TLS where it can, else by Python's ssl.

The native TLS verifies certificate and name, always. What it does not do (OpenSSL's cipher names,
encrypted keys, ALPN, no verification) is carried by an `ssl.SSLContext`, as is a caller's own.
"""

from __future__ import annotations

import ssl
import warnings
from dataclasses import dataclass, field

from ._native import Fault, Tls

_OLD = (ssl.PROTOCOL_TLSv1, ssl.PROTOCOL_TLSv1_1)
_UNTRUSTED = {"tls_untrusted", "tls_expired", "tls_name", "clock"}


@dataclass(frozen=True, repr=False)
class TlsSettings:
    """The arguments of `tls_set`, checked."""

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    cert_reqs: ssl.VerifyMode = ssl.CERT_REQUIRED
    only_tls12: bool = False
    ciphers: str | None = None
    keyfile_password: str | None = None
    alpn_protocols: tuple[str, ...] = field(default=())

    def is_plain(self) -> bool:
        """Return whether the native TLS can do it."""
        odd = self.ciphers or self.keyfile_password or self.alpn_protocols or self.only_tls12
        return not odd and self.cert_reqs != ssl.CERT_NONE

    def native(self) -> Tls:
        """Read the files. Raises OSError and ssl.SSLError, as `ssl.SSLContext` does."""
        roots = _content(self.ca_certs)
        certificate = _content(self.certfile)
        key = _content(self.keyfile or self.certfile) if self.certfile else None
        try:
            return Tls(roots, certificate, key)
        except ValueError as error:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"[SSL] {error}") from None

    def context(self, check_hostname: bool) -> ssl.SSLContext:
        """Return a context of Python's. Raises OSError and ssl.SSLError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.only_tls12:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = self.cert_reqs
        if self.ca_certs is not None:
            context.load_verify_locations(self.ca_certs)
        else:
            context.load_default_certs()
        if self.certfile is not None:
            context.load_cert_chain(self.certfile, self.keyfile, self.keyfile_password)
        if self.ciphers is not None:
            context.set_ciphers(self.ciphers)
        if self.alpn_protocols:
            context.set_alpn_protocols(list(self.alpn_protocols))
        if check_hostname:
            # Turns verification on where it was off, as paho does.
            context.check_hostname = True
        return context


def _content(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


def protocol_is_tls12(tls_version: int | None) -> bool:
    """Return whether a constant of ssl means TLS 1.2 alone; warn of those that mean less.

    Raises ValueError for what is no protocol of a client.
    """
    if tls_version is None or tls_version in (ssl.PROTOCOL_TLS, ssl.PROTOCOL_TLS_CLIENT):
        return False
    if tls_version == ssl.PROTOCOL_TLSv1_2:
        return True
    if tls_version in _OLD:
        name = "PROTOCOL_TLSv1" if tls_version == _OLD[0] else "PROTOCOL_TLSv1_1"
        warnings.warn(
            f"tls_version: ssl.{name} is obsolete and IoT Hub refuses it; TLS 1.2 or later is used",
            DeprecationWarning,
            stacklevel=3,
        )
        return False
    raise ValueError(f"tls_version: {tls_version!r} is no protocol for a client")


def tls_error(fault: Fault) -> OSError:
    """Return the exception that Python's ssl and socket modules would raise for `fault`."""
    cause, detail = fault.args
    if cause in _UNTRUSTED:
        text = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {detail}"
        error = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, text)
        error.library = "SSL"
        error.reason = "CERTIFICATE_VERIFY_FAILED"
        error.verify_message = detail
        return error
    if cause == "closed_by_hub":
        return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, f"[SSL] {detail}")
    if cause in ("tls", "authentication"):
        return ssl.SSLError(ssl.SSL_ERROR_SSL, f"[SSL] {detail}")
    return ConnectionResetError(detail)
