"""The socket on which `agent-runtime serve` listens, bound before the modules of the server are imported."""

from __future__ import annotations

import socket
import sys

from errors import ConfigurationError


def bind(host: str, port: int) -> socket.socket:
    """Bind the server's address; raises ConfigurationError when it is in use or not one of this machine."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family)
        if sys.platform != "win32":  # there it would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise ConfigurationError(f"The server cannot listen on {host}:{port}: {error.strerror}.") from error
    return bound
