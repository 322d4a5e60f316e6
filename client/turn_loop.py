"""One task from the user's words to its end: sends messages, settles calls, plans and questions as they come."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import Any

from client.decider import Decider, hitl_decision
from client.session import ServerRefused, Session
from client.time_limit import TimeUp
from client.view import TaskSummary, View
from client.workspace.executor import Executor, ToolOutcome
from client.workspace.request import Examination, ToolRequest
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
        """Examine a call, decide it where it asks, run it, and send what came of it."""
        offered, request = call, ToolRequest.of(call)
        examination = self._executor.examine(request)
        call = examination.explained(offered)
        self._view.call_proposed(call, request.arguments)
        if examination.refusal is not None:
            self._answer(call, ToolOutcome(error=examination.refusal))
            return
        if call.requires_approval:
            decision = self._decider.decide_call(call)
            if decision.decision == "reject":
                self._summary.rejected += 1
                self._view.call_rejected(call, decision.feedback)
            chunks = self._send_or_note(decision.model_dump(exclude_none=True))
            if any((chunk.metadata or {}).get("code") == "decision_invalid" for chunk in chunks):
                self._calls.appendleft(offered)
                return
            settled = _approval_of(chunks, call)
            if settled is None:
                return
            arguments = (settled.metadata or {}).get("arguments") or request.arguments
            if arguments != request.arguments:
                edited = self._examine_edited(call, replace(request, arguments=dict(arguments)))
                if edited is None:
                    return
                examination = edited
        elif examination.concerns and not self._is_confirmed(call, examination):
            return
        self._answer(call, self._executor.execute(examination, self._session.time_limit.left_s))

    def _examine_edited(self, call: Chunk, request: ToolRequest) -> Examination | None:
        """Examine what the person made of a call; what they have not seen yet is asked."""
        examination = self._executor.examine(request)
        call = examination.explained(call)
        if examination.concerns:
            self._view.call_proposed(call, request.arguments)
            if not self._is_confirmed(call, examination):
                return None
        return examination

    def _is_confirmed(self, call: Chunk, examination: Examination) -> bool:
        """Ask the person about a call that the server cleared; a refusal is the call's result."""
        found = " ".join(concern.text for concern in examination.concerns)
        if self._decider.confirm(call, "The server cleared this call; run it all the same?"):
            return True
        self._summary.rejected += 1
        self._answer(call, ToolOutcome(error=f"The client did not run this call without approval: {found}"))
        return False

    def _answer(self, call: Chunk, outcome: ToolOutcome) -> None:
        """Send the result of a call; where only a decision can close it, the error is the feedback of a rejection."""
        self._summary.changed += [path for path in outcome.changed if path not in self._summary.changed]
        self._view.call_finished(call, outcome)
        try:
            self._send(outcome.as_message(str(call.call_id)))
        except ServerRefused as refusal:
            if refusal.error_code == "approval_required" and outcome.error is not None:
                decision = hitl_decision(call, "reject", feedback=outcome.error)
                self._send_or_note(decision.model_dump(exclude_none=True))
            elif refusal.error_code in _PASSED_BY:
                self._view.warn(refusal.message)
            else:
                raise

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
