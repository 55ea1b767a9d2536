"""Loaded by Python on start from PYTHONPATH: stands in for the name service of a sample.

IOTHUB_TEST_RESOLVE is `name:port=address:port`. A sample names its hub and port 8883, and neither
may be changed in it.
"""

import os
import socket

_rule = os.environ.get("IOTHUB_TEST_RESOLVE")
if _rule:
    _from, _to = (side.rsplit(":", 1) for side in _rule.split("="))
    _real = socket.getaddrinfo

    def _getaddrinfo(host, port, *args, **kwargs):
        if [host, str(port)] == _from:
            host, port = _to
        return _real(host, int(port), *args, **kwargs)

    socket.getaddrinfo = _getaddrinfo
