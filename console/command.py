"""`agent-runtime console`: a server, the page in a browser and, for one folder, what runs its tool calls."""

from __future__ import annotations

import contextlib
import signal
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from client.configuration import client_settings, data_folder, workspace_folder
from client.own_server import Address, own_server, sqlite_url
from client.placement import is_address, named_server, reached
from client.session_index import SessionIndex
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace, workspace_at
from client.workspace.project.instructions import ProjectInstructions
from client.workspace.project.rules import ProjectRules
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.confinement import Confinement
from console.runner import Runner, prefix_of
from errors import ConfigurationError

Say = Callable[[str], None]


@dataclass(frozen=True)
class ConsoleOptions:
    """What the command line says."""

    workspace: Path | None = None
    url: str | None = None
    key: str | None = None
    db: str | None = None
    opens_browser: bool = True
    network: bool = True


def run_console(options: ConsoleOptions, say: Say) -> None:
    """Serve until interrupted; raises ConfigurationError for options that do not go together."""
    if options.workspace is not None and options.url is not None:
        raise ConfigurationError("--workspace runs tool calls with a server of its own; --url names another one.")
    workspace = None if options.workspace is None else workspace_at(options.workspace)
    settings = client_settings()
    server = named_server(options.url, options.db, settings)
    if server is not None and is_address(server):
        _show(reached(server, options.key or settings.first_key), options, say)
        return
    with _working(server or _own_database(workspace), workspace, options, say) as address:
        _show(address, options, say)
        _wait()


def _own_database(workspace: Workspace | None) -> str:
    """The database of the folder, the one of its chats; without a folder one of the console's own."""
    if workspace is None:
        return sqlite_url(data_folder() / "console.db")
    return sqlite_url(SessionIndex(workspace_folder(workspace.root)).free_database())


@contextlib.contextmanager
def _working(db_url: str, workspace: Workspace | None, options: ConsoleOptions, say: Say) -> Iterator[Address]:
    if workspace is None:
        with own_server(db_url) as address:
            yield address
        return
    rules = ProjectRules.read(workspace)
    confinement = Confinement(find_boundary(), may_connect=options.network)
    if confinement.boundary.kind == "none":
        say("No sandbox works on this machine: a command that runs can do what you can do.")
    executor = WorkspaceExecutor(workspace, confinement, rules, ProjectInstructions(workspace, say))
    prefix = prefix_of(workspace.root)

    def described() -> dict[str, Any]:
        return {"folder": str(workspace.root), "prefix": prefix, "environment": executor.environment()}

    with own_server(db_url, workspace=described) as address, Runner(address, executor, prefix).running():
        yield address


def _show(address: Address, options: ConsoleOptions, say: Say) -> None:
    """Open the page logged in; the key stands behind the #, which no browser sends to a server."""
    place = f"{address.url}/console"
    opened = f"{place}#{urlencode({'key': address.key})}" if address.key else place
    if options.opens_browser and webbrowser.open(opened):
        say(f"The console is open at {place}; Ctrl-C ends it.")
    else:
        say(f"Open the console at {opened}")


def _wait() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(1.0):
        pass
