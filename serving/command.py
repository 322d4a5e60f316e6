"""`agent-runtime serve`: the settings, the socket, then one process or several."""

from __future__ import annotations

import gc
import logging
import socket
import sys
from pathlib import Path

import logs
from errors import ConfigurationError
from settings import Settings, unknown_names
from storage.address import read_url

_log = logging.getLogger("server")


def run_serve(env_file: Path | None, **chosen: object) -> int:
    """Serve until told to stop: the exit status. What is chosen (None is not) comes before the settings."""
    settings = Settings.load(env_file, **{name: value for name, value in chosen.items() if value is not None})
    read_url(settings.db_url)
    logs.configure(settings.log_level, settings.log_format, settings.secrets)
    for name, nearest in unknown_names(env_file).items():
        hint = f"; did you mean {nearest}?" if nearest else ""
        _log.warning("no setting is named %s%s", name, hint, extra={"action": "unknown_setting"})
    with bind(settings.host, settings.port) as bound:
        # Imported after the address is bound: a port in use is reported at once.
        if settings.workers > 1:
            from serving.supervisor import supervise

            return supervise(settings, bound)
        gc.disable()  # collections while modules are loaded find nothing and take a tenth of a start
        from serving.process import serve

        serve(settings, bound)
    return 0


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
