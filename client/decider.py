"""Decisions on what a run waits for: all approved, none approved, or made by a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from client.question import Question
from tools.write_file import refusal_of_loss
from wire.protocol import Chunk, HitlDecision, PlanDecision

MAX_FIRST_SUGGESTIONS = 5


class TaskCancelled(Exception):
    """The person ended the task instead of deciding."""


class Decider(Protocol):
    """Decides the calls and plans that wait for approval, and answers questions. TaskCancelled ends the task.

    A decider that waits for a person does so inside `question.open(...)`, which follows the session meanwhile and
    raises QuestionClosed when another client settles the question.
    """

    def decide_call(self, call: Chunk, question: Question) -> HitlDecision:
        """Approve, edit or reject one tool call."""
        ...

    def confirm(self, call: Chunk, sentence: str, question: Question) -> bool:
        """Confirm a call that the server allowed and this client has concerns about; they are in the metadata."""
        ...

    def decide_plan(self, plan: Chunk, question: Question) -> PlanDecision:
        """Approve, reject or modify one plan."""
        ...

    def answer(self, suggestions: list[str], question: Question) -> str | None:
        """Answer the question on the screen, or None to leave it open."""
        ...


def hitl_decision(call: Chunk, decision: str, **more: Any) -> HitlDecision:
    """Make the decision on a call, bound by its digest to what was shown."""
    digest = (call.metadata or {}).get("digest")
    return HitlDecision(call_id=call.call_id, decision=decision, digest=digest, **more)


def plan_decision(plan: Chunk, decision: str, feedback: str | None = None) -> PlanDecision:
    """Make the decision on a plan."""
    return PlanDecision(approval_request_id=plan.approval_request_id, decision=decision, feedback=feedback)


def is_dangerous(call: Chunk) -> bool:
    """Whether the policy or this client judged a call to be of danger `high`."""
    return (call.metadata or {}).get("danger") == "high"


def refused_alone(about: Mapping[str, Any]) -> str | None:
    """Why nobody but a person may agree, for the model to read: danger `high`, or a write that loses something.

    `about` is the metadata of a call, or its verdict (docs/protocol.md). None where an unattended client may agree.
    """
    reasons = about.get("reasons") or ()
    loss = next((str(r["text"]) for r in reasons if r["code"] == "write.loss"), None)
    if loss is not None:
        return refusal_of_loss(loss)
    if about.get("danger") != "high":
        return None
    why = f" ({reasons[0]['text']})" if reasons else ""
    return f"This call is dangerous{why} and no person is there to look at it. Find a safer way."


class ApproveAll:
    """`--approve all`: yes but to what needs a person and to more budget; a question gets its first suggestion."""

    def __init__(self) -> None:
        self._answers_left = MAX_FIRST_SUGGESTIONS

    def decide_call(self, call: Chunk, question: Question) -> HitlDecision:  # noqa: ARG002 no person is asked
        """Approve the call, or reject one that needs a person."""
        refusal = refused_alone(call.metadata or {})
        if refusal is not None:
            return hitl_decision(call, "reject", feedback=refusal)
        return hitl_decision(call, "approve")

    def confirm(self, call: Chunk, sentence: str, question: Question) -> bool:  # noqa: ARG002 no person is asked
        """Confirm the call unless its danger is `high`."""
        return not is_dangerous(call)

    def decide_plan(self, plan: Chunk, question: Question) -> PlanDecision:  # noqa: ARG002 no person is asked
        """Approve the plan."""
        return plan_decision(plan, "approve")

    def answer(self, suggestions: list[str], question: Question) -> str | None:
        """Answer with the first suggestion, at most MAX_FIRST_SUGGESTIONS times; a budget waits for a person."""
        if question.is_about_budget or not suggestions or not self._answers_left:
            return None
        self._answers_left -= 1
        return suggestions[0]


class RejectAll:
    """`--approve none`: no to everything that asks; questions stay open."""

    def decide_call(self, call: Chunk, question: Question) -> HitlDecision:  # noqa: ARG002 no person is asked
        """Reject the call."""
        return hitl_decision(call, "reject", feedback="Nothing is approved in this run (--approve none).")

    def confirm(self, call: Chunk, sentence: str, question: Question) -> bool:  # noqa: ARG002 no person is asked
        """Refuse the call."""
        return False

    def decide_plan(self, plan: Chunk, question: Question) -> PlanDecision:  # noqa: ARG002 no person is asked
        """Reject the plan."""
        return plan_decision(plan, "reject")

    def answer(self, suggestions: list[str], question: Question) -> str | None:  # noqa: ARG002 always the same
        """Leave the question open."""
        return None
