"""One task from the user's words to its end: sends messages, settles calls, plans and questions as they come."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from client.decider import Decider
from client.session import ServerRefused, Session
from client.time_limit import TimeUp
from client.view import TaskSummary, View
from client.workspace.executor import Executor
from wire.protocol import Chunk

CANCEL_GRACE_S = 3.0
_PASSED_BY = {"call_settled", "call_unknown", "approval_unknown", "approval_required", "digest_mismatch"}


class TurnLoop:
    """Carries the tasks of one session; a terminal and an editor differ in the decider, the view and the executor."""

    def __init__(self, session: Session, decider: Decider, view: View, executor: Executor) -> None:
        self._session = session
        self._decider = decider
        self._view = view
        self._executor = executor
        self._is_first = True
        self._begin_task()

    def _begin_task(self) -> None:
        self._calls: deque[Chunk] = deque()
        self._plan: Chunk | None = None
        self._suggestions: list[str] = []
        self._summary = TaskSummary()

    def run_task(self, text: str, agent: str | None = None) -> str:
        """Carry one request through all its pauses and show how it ended; gives the outcome.

        Ctrl-C and the end of the time cancel the run; a second Ctrl-C leaves at once.
        """
        self._begin_task()
        self._session.time_limit.restart()
        started = time.monotonic()
        message: dict[str, Any] = {"type": "user_message", "content": text}
        if agent:
            message["agent_type"] = agent
        if self._is_first:
            message["environment"] = self._executor.environment()
        try:
            self._send(message)
            self._is_first = False
            while self._settle_next():
                pass
        except (KeyboardInterrupt, EOFError):
            self._cancel("Cancelling; Ctrl-C again leaves at once.")
        except TimeUp as error:
            self._cancel(error.message)
        self._summary.seconds = time.monotonic() - started
        self._view.task_ended(self._summary, self._session.id)
        return self._summary.outcome

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
        elif self._plan is not None and self._summary.outcome == "awaiting_plan":
            decision = self._decider.decide_plan(self._plan)
            self._plan = None
            self._send_or_note(decision.model_dump(exclude_none=True))
        elif self._summary.outcome == "awaiting_answer":
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
        self._view.call_proposed(call, arguments)
        if call.requires_approval:
            decision = self._decider.decide_call(call)
            if decision.decision == "reject":
                self._summary.rejected += 1
                self._view.call_rejected(call, decision.feedback)
            chunks = self._send_or_note(decision.model_dump(exclude_none=True))
            if any((chunk.metadata or {}).get("code") == "decision_invalid" for chunk in chunks):
                self._calls.appendleft(call)
                return
            settled = _approval_of(chunks, call)
            if settled is None:
                return
            arguments = dict((settled.metadata or {}).get("arguments") or arguments)
            execution = None
        outcome = self._executor.execute(name, arguments, execution, self._session.time_limit.left_s)
        self._summary.changed += [path for path in outcome.changed if path not in self._summary.changed]
        self._view.call_finished(call, outcome)
        self._send_or_note(outcome.as_message(str(call.call_id)))

    def _send_or_note(self, message: dict[str, Any]) -> list[Chunk]:
        """Send a decision or a result; when somebody else was first, say so and go on."""
        try:
            return self._send(message)
        except ServerRefused as refusal:
            if refusal.error_code not in _PASSED_BY:
                raise
            self._view.warn(refusal.message)
            return []

    def _send(self, message: dict[str, Any]) -> list[Chunk]:
        """Send one message, show what comes, and keep what is to be settled."""
        chunks: list[Chunk] = []
        self._summary.outcome = "failed"
        for chunk in self._session.send(message):
            self._take(chunk)
            chunks.append(chunk)
        self._view.reply_ended()
        self._close_turn(chunks)
        return chunks

    def _close_turn(self, chunks: list[Chunk]) -> None:
        if self._summary.outcome == "completed" and any(chunk.type == "error" for chunk in chunks):
            self._summary.outcome = "failed"

    def _take(self, chunk: Chunk) -> None:
        self._view.show(chunk)
        metadata = chunk.metadata or {}
        match chunk.type:
            case "tool_call":
                self._calls.append(chunk)
            case "plan_approval_required":
                self._plan = chunk
            case "assistant_message" if chunk.is_final:
                self._suggestions = [str(suggestion) for suggestion in metadata.get("suggestions") or []]
            case "done":
                self._summary.outcome = metadata.get("outcome") or "failed"
                usage = metadata.get("usage") or {}
                self._summary.usage.update({name: count for name, count in usage.items() if isinstance(count, int)})

    def _cancel(self, sentence: str) -> None:
        """Cancel the run and show what it still had to say; the outcome is cancelled whatever the server answers."""
        self._view.warn(sentence)
        self._session.time_limit.restart(CANCEL_GRACE_S)
        try:
            if self._session.cancel():
                for chunk in self._session.follow():
                    self._take(chunk)
        except TimeUp:
            self._view.warn("The server has not confirmed the end of the run.")
        except ServerRefused as refusal:
            if refusal.status_code != 404:
                self._view.warn(refusal.message)
        finally:
            self._calls.clear()
            self._summary.outcome = "cancelled"


def _approval_of(chunks: list[Chunk], call: Chunk) -> Chunk | None:
    """Find the status chunk that clears a call to run."""
    for chunk in chunks:
        metadata = chunk.metadata or {}
        if metadata.get("call_id") == call.call_id and metadata.get("status") in ("approved", "approved_with_edits"):
            return chunk
    return None
