"""One task from the user's words to its end: sends messages, settles calls, plans and questions as they come."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from client.decider import Decider
from client.session import ServerRefused, Session
from client.terminal.call_view import call_line, call_panel, outcome_lines
from client.terminal.display import Display, Tally
from client.time_limit import TimeUp
from client.workspace.executor import execute
from client.workspace.folder import Workspace
from wire.protocol import Chunk

CANCEL_GRACE_S = 3.0
_PASSED_BY = {"call_settled", "call_unknown", "approval_unknown", "approval_required", "digest_mismatch"}


class Chat:
    """A conversation in one workspace."""

    def __init__(self, session: Session, workspace: Workspace, decider: Decider, display: Display) -> None:
        self._session = session
        self._workspace = workspace
        self._decider = decider
        self._display = display
        self._is_first = True
        self._begin_task()

    def _begin_task(self) -> None:
        self._calls: deque[Chunk] = deque()
        self._plan: Chunk | None = None
        self._suggestions: list[str] = []
        self._tally = Tally()
        self._workspace.changed = self._tally.changed

    def run_task(self, text: str, agent: str | None = None) -> str:
        """Carry one request through all its pauses and show how it ended.

        Ctrl-C and the end of the time cancel the run; a second Ctrl-C leaves at once.
        """
        self._begin_task()
        self._session.time_limit.restart()
        started = time.monotonic()
        message: dict[str, Any] = {"type": "user_message", "content": text}
        if agent:
            message["agent_type"] = agent
        if self._is_first:
            message["environment"] = self._workspace.environment()
        try:
            self._send(message)
            self._is_first = False
            while self._settle_next():
                pass
        except (KeyboardInterrupt, EOFError):
            self._cancel("Cancelling; Ctrl-C again leaves at once.")
        except TimeUp as error:
            self._cancel(error.message)
        self._tally.seconds = time.monotonic() - started
        self._display.line(self._tally.panel(self._session.id))
        return self._tally.outcome

    def switch_agent(self, agent: str) -> None:
        """Choose another agent for the next messages."""
        self._begin_task()
        self._session.time_limit.restart()
        self._send({"type": "switch_agent", "agent_type": agent, "content": ""})

    def _settle_next(self) -> bool:
        """Settle one thing that the run waits for; False when it waits for nothing that is known here."""
        self._session.time_limit.check()
        if self._calls:
            self._settle(self._calls.popleft())
        elif self._plan is not None and self._tally.outcome == "awaiting_plan":
            decision = self._decider.decide_plan(self._plan)
            self._plan = None
            self._send_or_note(decision.model_dump(exclude_none=True))
        elif self._tally.outcome == "awaiting_answer":
            answer = self._decider.answer(self._suggestions)
            if answer is None:
                return False
            self._send({"type": "user_message", "content": answer})
        else:
            return False
        return True

    def _settle(self, call: Chunk) -> None:
        """Decide a call where it asks, run it, and send what came of it."""
        name, arguments = str(call.tool_name), dict(call.arguments or {})
        execution = (call.metadata or {}).get("execution")
        shows_all = call.requires_approval or name == "write_file"
        self._display.line(call_panel(call, arguments, self._workspace) if shows_all else call_line(name, arguments))
        if call.requires_approval:
            decision = self._decider.decide_call(call)
            if decision.decision == "reject":
                self._tally.rejected += 1
                self._display.note(f"  rejected: {decision.feedback}" if decision.feedback else "  rejected", "yellow")
            chunks = self._send_or_note(decision.model_dump(exclude_none=True))
            if any((chunk.metadata or {}).get("code") == "decision_invalid" for chunk in chunks):
                self._calls.appendleft(call)
                return
            settled = _approval_of(chunks, call)
            if settled is None:
                return
            arguments = dict((settled.metadata or {}).get("arguments") or arguments)
            execution = None
        outcome = execute(self._workspace, name, arguments, execution, self._session.time_limit.left_s)
        self._display.line(outcome_lines(name, outcome))
        self._send_or_note(outcome.as_message(str(call.call_id)))

    def _send_or_note(self, message: dict[str, Any]) -> list[Chunk]:
        """Send a decision or a result; when somebody else was first, say so and go on."""
        try:
            return self._send(message)
        except ServerRefused as refusal:
            if refusal.error_code not in _PASSED_BY:
                raise
            self._display.note(refusal.message, "yellow")
            return []

    def _send(self, message: dict[str, Any]) -> list[Chunk]:
        """Send one message, show what comes, and keep what is to be settled."""
        chunks: list[Chunk] = []
        self._tally.outcome = "failed"
        for chunk in self._session.send(message):
            self._take(chunk)
            chunks.append(chunk)
        self._display.break_line()
        self._close_turn(chunks)
        return chunks

    def _close_turn(self, chunks: list[Chunk]) -> None:
        if self._tally.outcome == "completed" and any(chunk.type == "error" for chunk in chunks):
            self._tally.outcome = "failed"

    def _take(self, chunk: Chunk) -> None:
        self._display.show(chunk)
        metadata = chunk.metadata or {}
        match chunk.type:
            case "tool_call":
                self._calls.append(chunk)
            case "plan_approval_required":
                self._plan = chunk
            case "assistant_message" if chunk.is_final:
                self._suggestions = [str(suggestion) for suggestion in metadata.get("suggestions") or []]
            case "done":
                self._tally.outcome = metadata.get("outcome") or "failed"
                usage = metadata.get("usage") or {}
                self._tally.usage.update({name: count for name, count in usage.items() if isinstance(count, int)})

    def _cancel(self, sentence: str) -> None:
        """Cancel the run and show what it still had to say; the outcome is cancelled whatever the server answers."""
        self._display.note(sentence, "yellow")
        self._session.time_limit.restart(CANCEL_GRACE_S)
        try:
            if self._session.cancel():
                for chunk in self._session.follow():
                    self._take(chunk)
        except TimeUp:
            self._display.note("The server has not confirmed the end of the run.")
        except ServerRefused as refusal:
            if refusal.status_code != 404:
                self._display.note(refusal.message, "yellow")
        finally:
            self._calls.clear()
            self._tally.outcome = "cancelled"


def _approval_of(chunks: list[Chunk], call: Chunk) -> Chunk | None:
    """Find the status chunk that clears a call to run."""
    for chunk in chunks:
        metadata = chunk.metadata or {}
        if metadata.get("call_id") == call.call_id and metadata.get("status") in ("approved", "approved_with_edits"):
            return chunk
    return None
