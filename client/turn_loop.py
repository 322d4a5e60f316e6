"""One task from the user's words to its end: sends messages, settles calls, plans and questions as they come."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from client.decider import Decider, TaskCancelled, hitl_decision
from client.question import ENDS, Question, QuestionClosed, Standing
from client.session import ServerRefused, Session
from client.time_limit import TimeUp
from client.view import TaskSummary, View
from client.workspace.executor import Executor, ToolOutcome
from client.workspace.request import Examination, ToolRequest
from wire.protocol import Chunk, HitlDecision, PlanDecision

CANCEL_GRACE_S = 3.0
_PASSED_BY = {"call_settled", "call_unknown", "approval_unknown", "digest_mismatch"}


@dataclass(frozen=True)
class _OpenCall:
    chunk: Chunk
    seq: int
    """Its place in the log."""


class TurnLoop:
    """Carries the tasks of one session; a terminal and an editor differ in the decider, the view and the executor."""

    def __init__(self, session: Session, decider: Decider, view: View, executor: Executor) -> None:
        self._session = session
        self._decider = decider
        self._view = view
        self._executor = executor
        self._declared: dict[str, Any] | None = None
        self._is_cancelled = False
        self._begin_task()

    def _begin_task(self) -> None:
        self._calls: deque[_OpenCall] = deque()
        self._plan: Chunk | None = None
        self._asked: dict[str, Any] = {}
        self._summary = TaskSummary()
        self._follows = False
        """Whether another client runs what needs no decision."""

    @property
    def session_id(self) -> str:
        """The session of the next message."""
        return self._session.id

    def run_task(self, text: str, agent: str | None = None) -> str:
        """Carry one request through all its pauses and show how it ended; gives the outcome.

        Ctrl-C and the end of the time cancel the run; a second Ctrl-C leaves at once.
        """
        self._begin_task()
        self._executor.begin_turn(self._session.id)
        told = self._executor.untold(self._session.id)
        message: dict[str, Any] = {"type": "user_message", "content": "\n\n".join([*told, text])}
        if agent:
            message["agent_type"] = agent
        environment = self._executor.environment()
        if environment != self._declared:
            message["environment"] = environment
        return self._carry(message)

    def take_up(self) -> str | None:
        """Go on with a session of an earlier day: ask what still waits for a decision; None when nothing does."""
        self._begin_task()
        self._executor.begin_turn(self._session.id)
        rows = self._session.get(f"/sessions/{self._session.id}/pending-approvals").get("pending_approvals") or []
        pending = {row.get("request_id") for row in rows if isinstance(row, dict)}
        calls: dict[str | None, _OpenCall] = {}
        for seq, chunk in self._session.log_after(0, follow=False):
            self._session.last_seq = seq
            if chunk.type == "tool_call" and chunk.call_id in pending:
                calls[chunk.call_id] = _OpenCall(chunk, seq)
            elif chunk.type == "plan_approval_required" and chunk.approval_request_id in pending:
                self._plan = chunk
        self._calls.extend(calls.values())
        if not self._calls and self._plan is None:
            return None
        if self._plan is not None:
            self._view.show(self._plan)
        self._summary.outcome = "awaiting_plan" if self._plan is not None else "awaiting_approval"
        self._follows = True
        return self._carry(None)

    def begin_session(self) -> None:
        """Turn to a new session; its first message describes the machine again."""
        self._session.begin()
        self._declared = None
        self._begin_task()

    def environment(self) -> dict[str, Any]:
        """Describe the machine as the server is told (docs/protocol.md, `user_message`)."""
        return self._executor.environment()

    def _carry(self, message: dict[str, Any] | None) -> str:
        """Send a message, if there is one, and settle what comes until nothing is left that can be settled here."""
        self._session.time_limit.restart()
        started = time.monotonic()
        try:
            if message is not None and not self._is_cancelled:
                self._send(message)
                self._declared = message.get("environment", self._declared)
            while self._settle_next():
                pass
        except (KeyboardInterrupt, EOFError):
            self._cancel("Cancelling; Ctrl-C again leaves at once.")
        except TaskCancelled:
            self._cancel("Cancelling.")
        except TimeUp as error:
            self._cancel(error.message)
        if self._is_cancelled:
            self._summary.outcome = "cancelled"
        self._summary.seconds, self._summary.changed = time.monotonic() - started, list(self._executor.changed())
        self._view.task_ended(self._summary, self._session.id)
        return self._summary.outcome

    def switch_agent(self, agent: str) -> None:
        """Choose another agent for the next messages."""
        self._begin_task()
        self._session.time_limit.restart()
        self._send({"type": "switch_agent", "agent_type": agent, "content": ""})

    def expect_task(self) -> None:
        """Begin to hear `cancel` for the next task, before the thread that carries it has started."""
        self._is_cancelled = False

    def cancel(self) -> None:
        """Cancel the task from another thread: a running command ends, an open question closes.

        May be repeated until the task has ended: a command can start at the same moment.
        """
        self._is_cancelled = True
        self._executor.stop()
        self._session.cancel()

    def _settle_next(self) -> bool:
        """Settle one thing that the run waits for; False when it waits for nothing that is known here."""
        self._session.time_limit.check()
        if self._is_cancelled:
            return False
        if self._calls:
            self._settle(self._calls.popleft())
        elif self._plan is not None and self._summary.outcome == "awaiting_plan":
            self._settle_plan(self._plan)
        elif self._summary.outcome == "awaiting_answer":
            return self._settle_question()
        elif self._summary.outcome == "awaiting_tool" and self._follows:
            self._follow()
        else:
            return False
        return True

    def _settle_plan(self, plan: Chunk) -> None:
        self._plan = None
        question = Question(self._session, plan.approval_request_id, self._session.last_seq)
        try:
            decision = self._decider.decide_plan(plan, question)
        except QuestionClosed as closed:
            self._close(question, closed)
        else:
            self._deliver(question, self._message_of(decision))

    def _settle_question(self) -> bool:
        """Answer the agent's question; False when it stays open."""
        suggestions = [str(suggestion) for suggestion in self._asked.get("suggestions") or []]
        question = Question(self._session, None, self._session.last_seq, is_about_budget="budgets" in self._asked)
        try:
            answer = self._decider.answer(suggestions, question)
        except QuestionClosed as closed:
            self._follows = True
            self._close(question, closed)
            return True
        if answer is None:
            return False
        self._follows = False
        self._send({"type": "user_message", "content": answer})
        return True

    def _settle(self, offered: _OpenCall) -> None:
        """Examine a call, decide it where it asks, run it, and send what came of it."""
        request = ToolRequest.of(offered.chunk)
        examination = self._executor.examine(request)
        call = examination.explained(offered.chunk)
        self._view.call_proposed(call, request.arguments)
        question = Question(self._session, call.call_id, offered.seq)
        if examination.refusal is not None:
            self._answer(question, call, ToolOutcome(error=examination.refusal))
            return
        if call.requires_approval:
            approval = self._approval(call, question)
            if approval is None:
                return
            arguments = (approval.metadata or {}).get("arguments") or request.arguments
            if arguments != request.arguments:
                edited = self._examine_edited(call, replace(request, arguments=dict(arguments)))
                if edited is None:
                    return
                examination = edited
        elif examination.concerns and not self._is_confirmed(question, call, examination):
            return
        self._run(question, call, examination)

    def _run(self, question: Question, call: Chunk, examination: Examination) -> None:
        """Run a call and send its result; where the sandbox may have made it fail, the person may run it without."""
        outcome = self._executor.execute(examination, self._session.time_limit.left_s)
        if outcome.blame is not None:
            self._view.call_finished(call, outcome)
            again = examination.unconfined(outcome.blame)
            call = again.explained(call)
            self._view.call_proposed(call, again.request.arguments)
            if self._is_let_out(call):
                outcome = self._executor.execute(again, self._session.time_limit.left_s)
        self._answer(question, call, outcome)

    def _is_let_out(self, call: Chunk) -> bool:
        """Ask whether a call may run once without the sandbox; the result of the first run stands otherwise."""
        question = Question(self._session, call.call_id, self._session.last_seq)
        try:
            return self._decider.confirm(call, "Run it once without the sandbox?", question)
        except QuestionClosed as closed:
            self._close(question, closed)
            return False

    def _examine_edited(self, call: Chunk, request: ToolRequest) -> Examination | None:
        """Examine what the person made of a call; what they have not seen yet is asked."""
        question = Question(self._session, call.call_id, self._session.last_seq)
        examination = self._executor.examine(request)
        call = examination.explained(call)
        if examination.concerns:
            self._view.call_proposed(call, request.arguments)
            if not self._is_confirmed(question, call, examination):
                return None
        return examination

    def _is_confirmed(self, question: Question, call: Chunk, examination: Examination) -> bool:
        """Ask the person about a call that the server cleared; a refusal is the call's result."""
        found = " ".join(concern.text for concern in examination.concerns)
        try:
            if self._decider.confirm(call, "The server cleared this call; run it all the same?", question):
                return True
        except QuestionClosed as closed:
            self._close(question, closed)
            return False
        self._summary.rejected += 1
        self._answer(question, call, ToolOutcome(error=f"The client did not run this call without approval: {found}"))
        return False

    def _answer(self, question: Question, call: Chunk, outcome: ToolOutcome) -> None:
        """Send the result of a call; where only a decision can close it, the error is the feedback of a rejection."""
        self._view.call_finished(call, outcome)
        if outcome.warning is not None:
            self._view.warn(outcome.warning)
        try:
            self._deliver(question, outcome.as_message(str(call.call_id)))
        except ServerRefused as refusal:
            if refusal.error_code != "approval_required" or outcome.error is None:
                raise
            self._deliver(question, self._message_of(hitl_decision(call, "reject", feedback=outcome.error)))

    def _approval(self, call: Chunk, question: Question) -> Chunk | None:
        """Have a call decided; gives the status that clears it to run, None when it must not run."""
        while True:
            try:
                decision = self._decider.decide_call(call, question)
            except QuestionClosed as closed:
                return self._ours(call, question, self._close(question, closed))
            if decision.decision == "reject":
                self._view.call_rejected(call, decision.feedback)
            standing, is_invalid = self._deliver(question, self._message_of(decision))
            self._summary.rejected += decision.decision == "reject" and standing.approval is None
            if not is_invalid:
                return self._ours(call, question, standing)

    def _ours(self, call: Chunk, question: Question, standing: Standing) -> Chunk | None:
        """The status that clears a call, where this client is the one that runs it.

        A call that was approved where nothing can be run, such as over REST, belongs to the first client that repeats
        the decision.
        """
        if standing.approval is not None and standing.is_elsewhere and standing.executor is None:
            edited = (standing.approval.metadata or {}).get("arguments")
            again = hitl_decision(call, "approve" if edited is None else "edit", modified_arguments=edited)
            standing, _ = self._deliver(question, self._message_of(again))
        if standing.approval is None:
            return None
        self._follows = standing.executor not in (None, self._session.client_id)
        if self._follows:
            self._view.question_closed("Another client of this session runs the call.")
        return None if self._follows else standing.approval

    def _message_of(self, decision: HitlDecision | PlanDecision) -> dict[str, Any]:
        """A decision as it is sent, with the client that runs what it approves."""
        return decision.model_dump(exclude_none=True) | {"executor": self._session.client_id}

    def _follow(self) -> None:
        """Read on while another client runs the calls of this session."""
        for chunk in self._session.follow():
            self._take(chunk)
        self._view.reply_ended()

    def _close(self, question: Question, closed: QuestionClosed) -> Standing:
        self._view.question_closed(closed.reason)
        return self._read_on(question)

    def _deliver(self, question: Question, message: dict[str, Any]) -> tuple[Standing, bool]:
        """Send a decision or a result; when another client was first, read on to the result of its decision.

        Gives how the matter stands, and whether the decision was invalid and has to be made again.
        """
        before, outcome = self._session.last_seq, self._summary.outcome
        try:
            chunks = self._send(message)
        except ServerRefused as refusal:
            if refusal.error_code not in _PASSED_BY:
                raise
            self._summary.outcome = outcome
            self._view.warn(refusal.message)
            return self._read_on(question), False
        codes = {(chunk.metadata or {}).get("code") for chunk in chunks if chunk.type == "error"}
        if codes & _PASSED_BY:
            return self._read_on(question), False
        return question.standing(enumerate(chunks, before + 1)), "decision_invalid" in codes

    def _read_on(self, question: Question) -> Standing:
        """Show what the log holds since the question was asked, up to `done` when a run goes on."""
        entries = list(self._session.log_after(question.after, follow=False))
        fresh = [(seq, chunk) for seq, chunk in entries if seq > self._session.last_seq]
        for seq, chunk in fresh:
            self._session.last_seq = seq
            self._take(chunk)
        if fresh and fresh[-1][1].type != "done":
            for chunk in self._session.follow():
                self._take(chunk)
                entries.append((self._session.last_seq, chunk))
        self._view.reply_ended()
        standing = question.standing(entries)
        standing.is_elsewhere = True
        return standing

    def _send(self, message: dict[str, Any]) -> list[Chunk]:
        """Send one message, show what comes, and keep what is to be settled."""
        chunks: list[Chunk] = []
        self._summary.outcome = "failed"
        # The server may not have known of a run that this message starts when `cancel` was called.
        may_be_unknown = message["type"] == "user_message"
        for chunk in self._session.send(message):
            if self._is_cancelled and may_be_unknown:
                may_be_unknown = False
                self._session.cancel()
            self._take(chunk)
            chunks.append(chunk)
        self._view.reply_ended()
        if self._summary.outcome == "completed" and any(chunk.type == "error" for chunk in chunks):
            self._summary.outcome = "failed"
        return chunks

    def _take(self, chunk: Chunk) -> None:
        self._view.show(chunk)
        metadata = chunk.metadata or {}
        match chunk.type:
            case "status" if "executor" in metadata:
                self._follows = metadata["executor"] != self._session.client_id
            case "tool_call" if chunk.requires_approval or not self._follows:
                self._calls.append(_OpenCall(chunk, self._session.last_seq))
            case "plan_approval_required":
                self._plan = chunk
            case "assistant_message" if chunk.is_final:
                self._asked = metadata
            case "done":
                self._summary.outcome = metadata.get("outcome") or "failed"
                usage = metadata.get("usage") or {}
                self._summary.usage.update({name: count for name, count in usage.items() if isinstance(count, int)})
                if self._summary.outcome in ENDS:
                    self._calls.clear()

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
