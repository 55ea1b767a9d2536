"""What must not leave this machine, refused before anything is opened."""

from __future__ import annotations

import ipaddress
import socket
import ssl

from ._native import Policy, Tls


def check_peer(
    host: str,
    port: int,
    tls: Tls | ssl.SSLContext | None,
    policy: Policy | None,
    will: tuple[str, bytes, int, bool] | None,
) -> None:
    """Raise ValueError for a connection that is not protected enough, or a will the hub refuses.

    `policy` is that of an IoT Hub, or None. Raises OSError where the host name cannot be looked up.
    """
    if tls is None and not _is_loopback(host, port):
        raise ValueError(
            f"{host}: call tls_set() first; plain TCP is for loopback addresses alone, "
            "because it shows the password to everybody on the way"
        )
    if policy is None:
        return
    if isinstance(tls, ssl.SSLContext) and not (tls.verify_mode == ssl.CERT_REQUIRED and tls.check_hostname):
        raise ValueError("an IoT Hub's certificate and host name must be verified")
    if will is not None:
        topic, payload, qos, _ = will
        policy.check_publish(topic, qos, len(payload))


def _is_loopback(host: str, port: int) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        pass
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return all(ipaddress.ip_address(address[4][0]).is_loopback for address in found)
