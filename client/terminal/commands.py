"""The slash commands of a conversation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from client.session import Session, session_cost
from client.terminal.display import Display
from client.terminal.history_view import history_lines
from client.terminal.text import entries, shown
from client.turn_loop import TurnLoop
from client.workspace.folder import Workspace
from client.workspace.journal.journal import Journal
from client.workspace.journal.undo import undo

HINT = "Write a request; /help lists the commands, Ctrl-D leaves, Ctrl-C cancels a run."


class Commands:
    """What a line with a slash does; `run` is False when the conversation is to end."""

    def __init__(
        self, session: Session, loop: TurnLoop, display: Display, workspace: Workspace, journal: Journal
    ) -> None:
        self._session = session
        self._loop = loop
        self._display = display
        self._workspace = workspace
        self._journal = journal
        self._table: dict[str, tuple[str, Callable[[str], None]]] = {
            "/help": ("this list", self._help),
            "/agents": ("the agents and what they are for", self._agents),
            "/agent": ("NAME: let this agent answer from now on", self._agent),
            "/sessions": ("the sessions of this server, the newest first", self._sessions),
            "/history": ("what was said in this session", self._history),
            "/new": ("begin a new session", self._new),
            "/undo": ("put back the files that the last turn changed", lambda _: self._undo(redo=False)),
            "/redo": ("take back the last undo", lambda _: self._undo(redo=True)),
            "/plan": ("the last plan of this session", self._plan),
            "/cost": ("model calls, tokens and price of this session", self._cost),
            "/rules": ("what this session may do without asking, because you said so", self._rules),
            "/policy": ("COMMAND: what the policy says of a shell command; nothing runs", self._policy),
            "/quit": ("leave", self._help),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """All commands, for completion."""
        return tuple(self._table)

    def run(self, line: str) -> bool:
        """Carry out one line; False for /quit. Raises what the server refuses."""
        word, _, rest = line.partition(" ")
        if word in ("/quit", "/exit"):
            return False
        _, action = self._table.get(word, ("", self._unknown))
        action(rest.strip())
        return True

    def _unknown(self, _: str) -> None:
        self._display.note("There is no such command; /help lists them.")

    def _help(self, _: str) -> None:
        self._display.line(_table([[name, meaning] for name, (meaning, _) in self._table.items()]))

    def _agents(self, _: str) -> None:
        found = entries(self._session.get("/agents").get("agents"))
        self._display.line(_table([[agent.get("type"), agent.get("description")] for agent in found]))

    def _agent(self, name: str) -> None:
        if name:
            self._loop.switch_agent(name)
        else:
            self._agents("")

    def _sessions(self, _: str) -> None:
        found = entries(self._session.get("/sessions", limit="20").get("sessions"))
        rows = [[row.get("id"), row.get("last_activity", "")[:16], row.get("title")] for row in found]
        self._display.line(_table(rows))

    def _history(self, _: str) -> None:
        self._display.line(history_lines(self._session.get(f"/sessions/{self._session.id}/history"), last=50))

    def _new(self, _: str) -> None:
        self._loop.begin_session()
        self._display.note(f"A new session: {self._session.id}")

    def _undo(self, *, redo: bool) -> None:
        report = undo(self._workspace, self._journal, self._session.id, redo=redo)
        for line in report.lines() if report is not None else ["Nothing of this session is left to take back."]:
            self._display.note(line)

    def _plan(self, _: str) -> None:
        if not self._display.show_plan():
            self._display.note("There was no plan here.")

    def _cost(self, _: str) -> None:
        self._display.line(_table([[name, figure] for name, figure in session_cost(self._session)]))

    def _rules(self, _: str) -> None:
        found = entries(self._session.get(f"/sessions/{self._session.id}/rules").get("rules"))
        if not found:
            self._display.note("Nothing is remembered in this session.")
        else:
            self._display.line(_table([[rule.get("tool_name"), rule.get("label")] for rule in found]))

    def _policy(self, command: str) -> None:
        call: dict[str, Any] = {"tool": "execute_command", "arguments": {"command": command}, "agent": "coder"}
        call["environment"] = self._loop.environment()
        verdict = self._session.post("/policy/check", call)
        line = Text(str(verdict.get("verdict")), style="bold") + shown(f"  danger {verdict.get('danger')}", "dim")
        for reason in entries(verdict.get("reasons")):
            line.append_text(shown(f"\n  why: {reason.get('text', '')}", "dim"))
        self._display.line(line)


def _table(rows: list[list[Any]]) -> RenderableType:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(shown(value if isinstance(value, str) else json.dumps(value or "")) for value in row))
    return table
