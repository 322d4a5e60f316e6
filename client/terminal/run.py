"""`agent-runtime chat`: puts the client together, runs one task or a conversation, and says how it ended."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from client.configuration import client_settings, data_folder, workspace_folder
from client.decider import ApproveAll, Decider, RejectAll
from client.granted import Granting, Grants
from client.own_server import Address, own_server, sqlite_url
from client.session import ServerRefused, Session
from client.terminal.dialogue import AskPerson
from client.terminal.display import Display
from client.terminal.keyboard import Keyboard
from client.terminal.text import shown
from client.time_limit import TimeLimit
from client.turn_loop import TurnLoop
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.confinement import Confinement
from errors import ConfigurationError
from policy.rules import load_rules
from settings import Settings

Approve = Literal["ask", "all", "none"]
_COMMANDS = ("/agent", "/help", "/quit")
_HELP = "Write a request; /agent NAME chooses an agent, /quit or Ctrl-D leaves, Ctrl-C cancels a run."
_NO_SANDBOX = "No sandbox works on this machine: a command that runs can do what you can do (docs/terminal-client.md)."


@dataclass(frozen=True)
class ChatOptions:
    """What the command line says."""

    workspace: Path = Path()
    message: str | None = None
    approve: Approve = "ask"
    url: str | None = None
    key: str | None = None
    db: str | None = None
    agent: str | None = None
    session: str | None = None
    allow: tuple[str, ...] = ()
    timeout_s: float = 600.0
    network: bool = True
    """Whether approved commands may use the network; unasked ones never may, where a sandbox holds it."""


def run_chat(options: ChatOptions, console: Console) -> int:
    """Run the client and return the exit status: 0 completed, 1 not completed."""
    try:
        workspace = Workspace(options.workspace)
    except OSError as error:
        raise ConfigurationError(f"The workspace '{options.workspace}' is not a folder that can be used.") from error
    if options.message is None and not sys.stdin.isatty():
        raise ConfigurationError("There is no terminal to chat in: give one task with --message.")
    settings = client_settings()
    time_limit = TimeLimit(options.timeout_s)
    display = Display(console, workspace)
    confinement = Confinement(find_boundary(), may_connect=options.network)
    if confinement.boundary.kind == "none":
        display.warn(_NO_SANDBOX)
    executor = WorkspaceExecutor(workspace, confinement)
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    keyboard = Keyboard(data_folder() / "history", _COMMANDS) if is_terminal else None
    decider = _decider(options.approve, console, keyboard, workspace, time_limit)
    if options.allow:
        rules = load_rules(settings.policy_file, settings.policy_profile)
        decider = Granting(Grants.of(options.allow, executor.environment(), rules), decider)
    with _address(options, settings, workspace) as address:
        session = Session(address.url, address.key, time_limit, options.session)
        with contextlib.closing(session):
            if options.session:
                session.catch_up()
            loop = TurnLoop(session, decider, display, executor)
            if options.message is not None or keyboard is None:
                return 0 if loop.run_task(options.message or "", options.agent) == "completed" else 1
            _converse(loop, display, keyboard, workspace, options.agent)
            return 0


def _decider(
    approve: Approve, console: Console, keyboard: Keyboard | None, workspace: Workspace, time_limit: TimeLimit
) -> Decider:
    if approve == "all":
        return ApproveAll()
    if approve == "ask" and keyboard is not None:
        return AskPerson(console, keyboard, workspace, time_limit)
    if approve == "ask":
        console.print(Text("There is no terminal to ask at: nothing that asks is approved (--approve none).", "yellow"))
    return RejectAll()


@contextlib.contextmanager
def _address(options: ChatOptions, settings: Settings, workspace: Workspace) -> Iterator[Address]:
    if options.url:
        yield Address(options.url, options.key or settings.first_key)
        return
    with own_server(_database_of(options, settings, workspace)) as address:
        yield address


def _database_of(options: ChatOptions, settings: Settings, workspace: Workspace) -> str:
    """The database of the chat's own server: what was asked for, else one per workspace in the user's data folder."""
    if options.db:
        return options.db if "://" in options.db else sqlite_url(Path(options.db))
    if "db_url" in settings.model_fields_set:
        return settings.db_url
    return sqlite_url(workspace_folder(workspace.root) / "chat.db")


def _converse(loop: TurnLoop, display: Display, keyboard: Keyboard, workspace: Workspace, agent: str | None) -> None:
    """Read requests from the person until they leave; what the server refuses is shown, and the talk goes on."""
    display.line(Text("CodeLab agent runtime", "bold") + shown(f"  workspace {workspace.root}", "dim"))
    display.note(_HELP)
    while True:
        try:
            text = keyboard.request("You").strip()
        except (EOFError, KeyboardInterrupt):
            display.note("Goodbye.")
            return
        word, _, rest = text.partition(" ")
        try:
            match word:
                case "":
                    continue
                case "/quit" | "/exit":
                    return
                case "/agent" if rest.strip():
                    loop.switch_agent(rest.strip())
                case _ if word.startswith("/"):
                    display.note(_HELP)
                case _:
                    loop.run_task(text, agent)
                    agent = None
        except ServerRefused as refusal:
            if refusal.status_code == 401:
                raise
            display.note(refusal.message, "red")
