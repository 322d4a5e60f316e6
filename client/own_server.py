"""The chat's own server, in a thread of this process, when no `--url` is given."""

from __future__ import annotations

import contextlib
import gc
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from client.configuration import client_settings, data_folder
from errors import AgentRuntimeError, ConfigurationError
from settings import Settings
from storage.address import read_url

if TYPE_CHECKING:
    import uvicorn

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 10.0


class ServerNotStarted(AgentRuntimeError):
    """The chat's own server did not start."""


@dataclass(frozen=True)
class Address:
    """The URL of a server and its key."""

    url: str
    key: str | None


def sqlite_url(file: Path) -> str:
    """Write a file as a database URL."""
    return f"sqlite:///{file.resolve().as_posix()}"


@contextlib.contextmanager
def own_server(db_url: str, workspace: Callable[[], dict[str, Any]] | None = None) -> Iterator[Address]:
    """Run a server on a free loopback port with a key that only this process knows; its database is `db_url`.

    `workspace` describes the folder in which this process runs tool calls, for the console's page.
    """
    # Read here, before the server is imported: a mistake is said at once.
    read_url(db_url)
    with socket.socket() as bound, _log_file(data_folder() / "server.log"):
        bound.bind(("127.0.0.1", 0))
        address = Address(f"http://127.0.0.1:{bound.getsockname()[1]}", secrets.token_urlsafe(32))
        running = _RunningServer(bound, _settings(address, db_url), workspace)
        try:
            running.wait_until_healthy(address)
            yield address
        finally:
            running.stop()


@contextlib.contextmanager
def _log_file(file: Path) -> Iterator[None]:
    """Send the log to a file, once for all servers of this process: the output belongs to the client."""
    if any(getattr(known, "baseFilename", None) == str(file.absolute()) for known in logging.getLogger().handlers):
        yield
        return
    handler = RotatingFileHandler(file, maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _settings(address: Address, db_url: str) -> Settings:
    port = int(address.url.rpartition(":")[2])
    own: dict[str, Any] = {"host": "127.0.0.1", "port": port, "internal_api_key": address.key, "db_url": db_url}
    return client_settings(**own, rate_limit_per_minute=0)


class _RunningServer:
    def __init__(
        self, bound: socket.socket, settings: Settings, workspace: Callable[[], dict[str, Any]] | None
    ) -> None:
        self._bound = bound
        self._settings = settings
        self._workspace = workspace
        self._server: uvicorn.Server | None = None
        self._failure: BaseException | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="own-server", daemon=True)
        self._thread.start()

    def wait_until_healthy(self, address: Address) -> None:
        """Return when /health answers; raise what stopped the start otherwise."""
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            if not self._thread.is_alive():
                raise self._explained()
            if self._server is not None and self._server.started:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(f"{address.url}/health", trust_env=False, timeout=5).is_success:
                        return
            self._thread.join(0.01)
        raise ServerNotStarted(f"The chat's own server did not answer within {START_DEADLINE_S:.0f} seconds.")

    def stop(self) -> None:
        """Ask the server to finish and wait for it."""
        self._stopping = True
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(STOP_DEADLINE_S)

    def _run(self) -> None:
        try:
            gc.disable()  # collections while modules are loaded find nothing and take a tenth of a start
            # Imported here: the client works without them when a --url is given.
            import uvicorn

            from api.connection import server_config
            from server import create_app

            app = create_app(self._settings)
            gc.freeze()
            gc.enable()
            app.state.workspace = self._workspace
            self._server = uvicorn.Server(server_config(self._noting_failure(app), lifespan="on"))
            if not self._stopping:
                self._server.run(sockets=[self._bound])
        except BaseException as error:  # noqa: BLE001 handed to the thread that waits
            self._failure = self._failure or error
        finally:
            gc.enable()

    def _noting_failure(self, app: Any) -> Any:
        async def noting(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except BaseException as error:
                if scope["type"] == "lifespan":
                    self._failure = error
                raise

        return noting

    def _explained(self) -> AgentRuntimeError:
        if isinstance(self._failure, AgentRuntimeError):
            return self._failure
        reason = type(self._failure).__name__ if self._failure else "it stopped at once"
        problem = ConfigurationError(f"The chat's own server did not start: {reason}: {self._failure}.")
        problem.__cause__ = self._failure
        return problem
