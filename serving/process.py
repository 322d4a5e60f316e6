"""A process that serves: alone, or as one of several workers on one socket (`serving.supervisor`)."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import threading
from multiprocessing.connection import Connection

import uvicorn
from fastapi import FastAPI

import logs
from api.connection import server_config
from errors import AgentRuntimeError
from server import create_app
from settings import Settings
from storage.schema import migrate

ACCEPTED_AT_ONCE = 4
"""Connections that one worker accepts before the others get their turn: a burst is shared among them."""
BACKLOG = 2048
COLLECTED_AFTER = 5_000
"""New objects until Python looks for cycles among them; its 700 cost a twentieth of the CPU of a chat turn."""


def serve(settings: Settings, bound: socket.socket) -> None:
    """Serve in this process until it is told to stop."""
    uvicorn.Server(server_config(_application(settings))).run(sockets=[bound])


def work(settings: Settings, bound: socket.socket, number: int, starting: Connection) -> None:
    """Serve as worker `number` until SIGTERM, or until the supervisor is gone.

    Sends None through `starting` when requests are accepted, or the sentence of the error that prevents it.
    """
    # Ctrl-C reaches a whole process group; the supervisor alone decides when workers stop.
    os.setpgid(0, 0)
    threading.Thread(target=_stop_with_supervisor, name="supervisor watch", daemon=True).start()
    logs.configure(settings.log_level, settings.log_format, settings.secrets, fields={"worker": number})
    try:
        application = _application(settings)
    except AgentRuntimeError as error:
        starting.send(error.message)
        raise SystemExit(2) from error
    config = server_config(application, backlog=ACCEPTED_AT_ONCE)
    _WorkerServer(config, starting).run(sockets=[bound])


def _application(settings: Settings) -> FastAPI:
    application = create_app(settings)
    asyncio.run(migrate(settings.db_url, settings.db_listen_url))
    gc.freeze()  # what is loaded by now stays: later collections need not look at it, and none is made before
    gc.set_threshold(COLLECTED_AFTER)
    gc.enable()
    return application


def _stop_with_supervisor() -> None:
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None, "started by multiprocessing"
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)


class _WorkerServer(uvicorn.Server):
    """Reports that it serves, and lets the other workers accept their part of a burst of connections."""

    def __init__(self, config: uvicorn.Config, starting: Connection) -> None:
        super().__init__(config)
        self._starting = starting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        for shared in sockets or ():
            shared.listen(BACKLOG)  # asyncio has made the queue as short as what it accepts at once
        if self.started:
            self._starting.send(None)
