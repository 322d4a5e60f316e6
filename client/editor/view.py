"""What the turn loop shows and asks in an editor."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from typing import Any

from acp import RequestError
from acp.schema import (
    AcceptElicitationResponse,
    AllowedOutcome,
    ElicitationFormSessionMode,
    ElicitationSchema,
    ElicitationStringPropertySchema,
    PermissionOption,
    ToolCallProgress,
    ToolCallStatus,
    ToolCallUpdate,
    UsageUpdate,
)

from client.decider import TaskCancelled, hitl_decision, plan_decision
from client.editor.calls import CallPicture, text_part
from client.editor.channel import Channel
from client.editor.updates import Transcript
from client.question import Question
from client.view import TaskSummary
from client.workspace.executor import ToolOutcome
from client.workspace.folder import Workspace
from policy.verdicts.display import escape_display
from wire.protocol import Chunk, HitlDecision, PlanDecision

APPROVE, REJECT, RULE = "approve", "reject", "rule:"


class EditorView:
    """The view of an editor (see View)."""

    def __init__(self, channel: Channel, transcript: Transcript, workspace: Workspace, context_tokens: int) -> None:
        self._channel = channel
        self._transcript = transcript
        self._workspace = workspace
        self._context_tokens = context_tokens
        self._pictures: dict[str, CallPicture] = {}

    def show(self, chunk: Chunk) -> None:
        """Send a chunk; `done` also shows the used part of the context where the model's server counts it."""
        for update in self._transcript.updates(chunk):
            self._channel.update(update)
        usage = (chunk.metadata or {}).get("usage") if chunk.type == "done" else None
        used = usage.get("total_tokens") if isinstance(usage, dict) and usage.get("llm_calls") == 1 else None
        if used:
            self._channel.update(
                UsageUpdate(session_update="usage_update", used=used, size=max(used, self._context_tokens))
            )

    def reply_ended(self) -> None:
        """Send nothing: the editor needs no end of a text."""

    def call_proposed(self, call: Chunk, arguments: dict[str, Any]) -> None:
        """Send a call, or the change of one that was sent before."""
        asks = call.requires_approval or (call.metadata or {}).get("verdict") == "ask"
        picture = CallPicture(call, arguments, self._workspace)
        status: ToolCallStatus = "pending" if asks else "in_progress"
        is_known = picture.call_id in self._pictures
        self._pictures[picture.call_id] = picture
        self._channel.update(picture.changed(status) if is_known else picture.started(status))

    def picture_of(self, call: Chunk) -> CallPicture:
        """The call as it was shown last."""
        return self._pictures[str(call.call_id)]

    def call_rejected(self, call: Chunk, feedback: str | None) -> None:
        """Send the call as failed, with the feedback."""
        self._fail(call, f"Rejected: {feedback}" if feedback else "Rejected.")

    def call_finished(self, call: Chunk, outcome: ToolOutcome) -> None:
        """Send the outcome of the call."""
        self._channel.update(self.picture_of(call).ended(outcome))

    def question_closed(self, reason: str) -> None:
        """Send how another client settled the question."""
        self.warn(f"Settled elsewhere: {reason}")

    def warn(self, sentence: str) -> None:
        """Send a note of the client itself."""
        self._channel.update(self._transcript.note(sentence))

    def task_ended(self, summary: TaskSummary, session_id: str) -> None:
        """Send nothing: the reply to the prompt ends the turn."""

    def _fail(self, call: Chunk, sentence: str) -> None:
        self._channel.update(
            ToolCallProgress(
                session_update="tool_call_update",
                tool_call_id=str(call.call_id),
                status="failed",
                content=[text_part(escape_display(sentence))],
            )
        )


class EditorDecider:
    """The person in front of the editor decides (see Decider)."""

    def __init__(self, channel: Channel, view: EditorView, transcript: Transcript) -> None:
        self._channel = channel
        self._view = view
        self._transcript = transcript

    def decide_call(self, call: Chunk, question: Question) -> HitlDecision:
        """Ask for permission; "always" is offered where the policy offers to remember the call."""
        remembered = [
            PermissionOption(
                option_id=f"{RULE}{option.get('id')}", name=f"Always: {option.get('label', '')}", kind="allow_always"
            )
            for option in (call.metadata or {}).get("remember_options") or ()
            if isinstance(option, dict)
        ]
        chosen = self._choose(self._view.picture_of(call).asked(), question, "Approve", remembered)
        if chosen == APPROVE:
            return hitl_decision(call, "approve")
        if chosen in {option.option_id for option in remembered}:
            return hitl_decision(call, "approve", remember="session", remember_option=chosen.removeprefix(RULE))
        return hitl_decision(call, "reject")

    def confirm(self, call: Chunk, sentence: str, question: Question) -> bool:
        """Ask whether the call may run, with the concern in its content."""
        asked = self._view.picture_of(call).asked()
        asked.content = [text_part(sentence), *(asked.content or [])]
        return self._choose(asked, question, "Run it") == APPROVE

    def decide_plan(self, plan: Chunk, question: Question) -> PlanDecision:
        """Ask for approval of the plan; a plan is changed by rejecting it and saying what to do instead."""
        summary = plan.plan_summary or {}
        steps = [
            f"{number}. {step.get('description', '')} ({step.get('agent', '')})"
            for number, step in enumerate(summary.get("subtasks") or (), start=1)
            if isinstance(step, dict)
        ]
        asked = ToolCallUpdate(
            tool_call_id=str(plan.approval_request_id),
            title=f"Plan: {escape_display(str(summary.get('title') or ''))}",
            kind="think",
            status="pending",
            raw_input=summary,
            content=[text_part(escape_display("\n".join(steps)))],
        )
        chosen = self._choose(asked, question, "Carry out the plan")
        return plan_decision(plan, "approve" if chosen == APPROVE else "reject")

    def answer(self, suggestions: list[str], question: Question) -> str | None:
        """Ask in a form; without forms the question stays open, and the next prompt answers it."""
        if not self._channel.asks_forms:
            return None
        form = ElicitationFormSessionMode(
            session_id=self._channel.session_id, requested_schema=answer_schema(suggestions)
        )
        request = self._channel.client.create_elicitation(self._transcript.last_text or "Your answer?", form)
        reply = self._wait(self._channel.ask(request), question)
        if not isinstance(reply, AcceptElicitationResponse):
            return None
        content = reply.content or {}
        texts = [str(content.get(name) or "").strip() for name in ("answer", "choice")]
        return next((text for text in texts if text), None)

    def _choose(
        self, asked: ToolCallUpdate, question: Question, approval: str, more: Sequence[PermissionOption] = ()
    ) -> str:
        options = [
            PermissionOption(option_id=APPROVE, name=approval, kind="allow_once"),
            *more,
            PermissionOption(option_id=REJECT, name="Reject", kind="reject_once"),
        ]
        request = self._channel.client.request_permission(self._channel.session_id, asked, options)
        reply = self._wait(self._channel.ask(request), question)
        outcome = reply.outcome if reply is not None else None
        if isinstance(outcome, AllowedOutcome):
            return outcome.option_id
        if outcome is None:
            return REJECT
        raise TaskCancelled

    def _wait(self, asked: concurrent.futures.Future[Any], question: Question) -> Any:
        """Wait for the person; a question that is settled elsewhere is withdrawn. None: the editor could not ask."""

        def withdraw() -> None:
            asked.cancel()

        with question.open(withdraw):
            try:
                return asked.result()
            except RequestError as error:
                self._view.warn(f"The editor could not ask: {error}")
                return None


def answer_schema(suggestions: Sequence[str]) -> ElicitationSchema:
    """The form of a question: one of the suggestions, or the person's own words."""
    words = ElicitationStringPropertySchema(type="string", title="Your own words" if suggestions else "Your answer")
    if not suggestions:
        return ElicitationSchema(type="object", properties={"answer": words}, required=["answer"])
    choice = ElicitationStringPropertySchema(type="string", title="Choose", enum=list(suggestions))
    return ElicitationSchema(type="object", properties={"choice": choice, "answer": words})
