"""The slash commands that an editor offers in its prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acp.schema import AvailableCommand, AvailableCommandInput, AvailableCommandsUpdate, UnstructuredCommandInput

from client.editor.calls import code
from client.session import Session, session_cost
from client.turn_loop import TurnLoop
from client.workspace.folder import Workspace
from client.workspace.journal.journal import Journal
from client.workspace.journal.undo import undo
from policy.verdicts.display import escape_display

CONTINUE = "/continue"


class SlashCommands:
    """What a prompt that begins with a slash does; whatever is no command is a request to the agents."""

    def __init__(self, session: Session, loop: TurnLoop, workspace: Workspace, journal: Journal) -> None:
        self._session = session
        self._loop = loop
        self._workspace = workspace
        self._journal = journal
        self._table: dict[str, Callable[[str], str]] = {
            "/cost": self._cost,
            "/rules": self._rules,
            "/policy": self._policy,
            "/undo": lambda _: self._undo(redo=False),
            "/redo": lambda _: self._undo(redo=True),
        }

    def run(self, text: str) -> str | None:
        """Carry a command out and give its answer as Markdown; None for other texts."""
        word, _, rest = text.strip().partition(" ")
        action = self._table.get(word)
        return action(rest.strip()) if action is not None else None

    def asks_pending(self, text: str) -> bool:
        """Whether the text is the command that asks again what waits for a decision."""
        return text.strip() == CONTINUE

    def _undo(self, *, redo: bool) -> str:
        report = undo(self._workspace, self._journal, self._session.id, redo=redo)
        if report is None:
            return "Nothing of this session is left to take back."
        return "\n".join(f"- {escape_display(line)}" for line in report.lines())

    def _cost(self, _: str) -> str:
        return "\n".join(f"- {name}: {escape_display(figure)}" for name, figure in session_cost(self._session))

    def _rules(self, _: str) -> str:
        found = self._session.get(f"/sessions/{self._session.id}/rules").get("rules") or []
        if not found:
            return "Nothing is remembered in this session."
        return "\n".join(f"- {rule.get('tool_name')}: {escape_display(str(rule.get('label')))}" for rule in found)

    def _policy(self, command: str) -> str:
        if not command:
            return f"Write the command behind it: {code('/policy git push')}."
        call: dict[str, Any] = {"tool": "execute_command", "arguments": {"command": command}, "agent": "coder"}
        verdict = self._session.post("/policy/check", call | {"environment": self._loop.environment()})
        lines = [f"**{verdict.get('verdict')}**, danger {verdict.get('danger')}: {code(escape_display(command))}"]
        lines += [f"- {escape_display(str(reason.get('text', '')))}" for reason in verdict.get("reasons") or ()]
        return "\n".join(lines)


def available_commands() -> AvailableCommandsUpdate:
    """The update that tells an editor what there is."""
    command = AvailableCommandInput(root=UnstructuredCommandInput(hint="a shell command"))
    return AvailableCommandsUpdate(
        session_update="available_commands_update",
        available_commands=[
            AvailableCommand(name="continue", description="Ask again what waits for a decision in this session"),
            AvailableCommand(name="cost", description="Model calls, tokens and price of this session"),
            AvailableCommand(name="undo", description="Put back the files that the last turn changed"),
            AvailableCommand(name="redo", description="Take back the last undo"),
            AvailableCommand(name="rules", description="What this session may do without asking"),
            AvailableCommand(
                name="policy", description="What the policy says of a shell command; nothing runs", input=command
            ),
        ],
    )
