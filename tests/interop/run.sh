#!/bin/sh
# run.sh PYTHON [ARGUMENTS OF PYTEST]: the official SDKs know only the ports 8883 and 443. Where 443 may not be opened, the
# tests run as root of a network of their own, which needs no privilege.
set -eu
cd "$(dirname "$0")"
python=$1
shift
open_443='import socket; socket.create_server(("127.254.254.254", 443))'
if "$python" -c "$open_443" 2>/dev/null; then
    exec "$python" -m pytest "$@"
fi
exec unshare --map-root-user --net sh -c 'ip link set lo up && exec "$@"' sh "$python" -m pytest "$@"
