"""`agent-runtime chat`: puts the client together, runs one task or a conversation, and says how it ended."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich.console import Console

from client.configuration import client_settings, data_folder, workspace_folder
from client.decider import ApproveAll, Decider, RejectAll
from client.granted import Granting, Grants
from client.own_server import own_server
from client.placement import check_free, found_place, is_address, named_server, new_place, reached
from client.session import ServerRefused, Session
from client.session_index import Place, SessionIndex
from client.terminal.commands import HINT, Commands
from client.terminal.dialogue import AskPerson
from client.terminal.display import Display
from client.terminal.history_view import history_lines
from client.terminal.input.completion import RequestCompleter, without_marks
from client.terminal.input.keyboard import Keyboard
from client.terminal.json_view import JsonView
from client.time_limit import TimeLimit
from client.turn_loop import TurnLoop
from client.view import View
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace, workspace_at
from client.workspace.journal.journal import Journal
from client.workspace.project.instructions import ProjectInstructions
from client.workspace.project.rules import ProjectRules
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.confinement import Confinement
from errors import ConfigurationError
from policy.rules import load_rules
from settings import Settings

Approve = Literal["ask", "all", "none"]
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
    goes_on: bool = False
    """Take up the newest session of the workspace."""
    as_json: bool = False
    allow: tuple[str, ...] = ()
    timeout_s: float = 600.0
    bell_s: float = 10.0
    """How long the person was not asked anything before a prompt rings."""
    network: bool = True
    """Whether approved commands may use the network; unasked ones never may, where a sandbox holds it."""


def run_chat(options: ChatOptions, console: Console) -> int:
    """Run the client after `check_opening` and return the exit status: 0 completed, 1 not completed."""
    workspace = workspace_at(options.workspace)
    journal = workspace.journal = Journal(workspace_folder(workspace.root))
    settings = client_settings()
    index = SessionIndex(workspace_folder(workspace.root))
    place = _place(options, settings, index)
    remote = reached(place.server, options.key or settings.first_key) if is_address(place.server) else None
    time_limit = TimeLimit(options.timeout_s)
    display = Display(Console(stderr=True) if options.as_json else console, workspace)
    confinement = Confinement(find_boundary(), may_connect=options.network)
    if confinement.boundary.kind == "none":
        display.warn(_NO_SANDBOX)
    project_rules = ProjectRules.read(workspace)
    for note in project_rules.notes:
        display.warn(note)
    executor = WorkspaceExecutor(workspace, confinement, project_rules, ProjectInstructions(workspace, display.warn))
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not options.as_json
    keyboard = Keyboard(data_folder() / "history", options.bell_s) if is_terminal else None
    decider = _decider(options.approve, keyboard, display, workspace, time_limit)
    if options.allow:
        rules = load_rules(settings.policy_file, settings.policy_profile)
        decider = Granting(Grants.of(options.allow, executor.environment(), rules), decider)
    with contextlib.nullcontext(remote) if remote is not None else own_server(place.server) as address:
        session = Session(address.url, address.key, time_limit, place.session or None)
        with contextlib.closing(session):
            view: View = JsonView(sys.stdout) if options.as_json else display
            loop = TurnLoop(session, decider, view, executor)
            if place.session:
                display.line(history_lines(session.get(f"/sessions/{session.id}/history")))
                session.catch_up()
            if options.message is not None or keyboard is None:
                index.note(Place(session.id, place.server, str(workspace.root)), options.message or "")
                return 0 if loop.run_task(options.message or "", options.agent) == "completed" else 1
            if place.session:
                loop.take_up()
            kept = Place("", place.server, str(workspace.root))
            _converse(
                Commands(session, loop, display, workspace, journal),
                loop,
                display,
                keyboard,
                options.agent,
                index,
                kept,
            )
            return 0


def _place(options: ChatOptions, settings: Settings, index: SessionIndex) -> Place:
    """Find the server and the session; an unknown session is an error before anything starts."""
    server = named_server(options.url, options.db, settings)
    if options.session:
        found = found_place(options.session, server, index)
        if found is None:
            raise ConfigurationError(f"This workspace has no session '{options.session}'.")
        return check_free(found)
    if options.goes_on:
        newest = index.newest(server)
        if newest is None:
            raise ConfigurationError("There is no session to continue in this workspace.")
        return check_free(newest)
    return new_place(server, index)


def _decider(
    approve: Approve, keyboard: Keyboard | None, display: Display, workspace: Workspace, time_limit: TimeLimit
) -> Decider:
    if approve == "all":
        return ApproveAll()
    if approve == "ask" and keyboard is not None:
        return AskPerson(display.console, keyboard, workspace, time_limit)
    if approve == "ask":
        display.warn("There is no terminal to ask at: nothing that asks is approved (--approve none).")
    return RejectAll()


def _converse(
    commands: Commands,
    loop: TurnLoop,
    display: Display,
    keyboard: Keyboard,
    agent: str | None,
    index: SessionIndex,
    kept: Place,
) -> None:
    """Read requests from the person until they leave; a refusal of the server does not end the conversation."""
    display.note(HINT)
    root = Path(kept.workspace)
    completer = RequestCompleter(commands.names, root)
    while True:
        try:
            text = keyboard.request("You", completer).strip()
        except (EOFError, KeyboardInterrupt):
            display.note("Goodbye.")
            return
        try:
            if text.startswith("/"):
                if not commands.run(text):
                    return
            elif text:
                index.note(replace(kept, session=loop.session_id), text)
                loop.run_task(without_marks(text, root), agent)
                agent = None
        except ServerRefused as refusal:
            if refusal.status_code == 401:
                raise
            display.note(refusal.message, "red")
