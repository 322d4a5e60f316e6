"""The text of the one tool message of each call, from how the call was settled (docs/protocol.md, Flows).

Scenarios such as S4: docs/scenarios.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, cast, get_args

from agents.thread.decision_words import decision_word

AGAIN_THE_SAME = (
    "You have made the same call, or the same calls in turn, again and again; this one was not run. "
    "Use the results you have, do something else, or finish with attempt_completion."
)
ONE_AT_A_TIME = "One tool call at a time: this call was not run. Call it again if you still need it."
_NOT_DECIDED = {
    "message": "The user sent a new message before this call was decided. Treat it as not run.",
    "cancel": "The user cancelled the run before this call was decided. Treat it as not run.",
    "expiry": "Nobody approved this call in time. Do not retry it or look for another way; ask the user.",
}
_NO_RESULT = {
    "message": "The user sent a new message before the result of this call arrived. It may or may not have run.",
    "cancel": "The user cancelled the run before the result of this call arrived. It may or may not have run.",
    "expiry": "The result of this call never arrived. It may or may not have run.",
}
NOT_EDITED = "The run ended before this edit was made. The file was not changed."
EndedBy = Literal["message", "cancel", "expiry"]


class Answer(TypedDict, total=False):
    """How a call was settled: the row of `tool_calls` that resumes an interrupt."""

    decision: str | None
    """The user's word, when there was one: approve, edit, reject, modify."""
    arguments: dict[str, Any] | None
    """The arguments as the user edited them."""
    result: Any
    error: str | None
    feedback: str | None
    ended_by: EndedBy | None
    """Why neither a decision nor a result came: message, cancel or expiry."""
    undecided: bool
    """Whether the call still waited for its decision when it was ended."""
    content: str
    """The user's answer to a question."""
    message_id: str
    """The id of the user's message that answered a question."""


def as_decision(answer: Any, approving: Sequence[str]) -> Answer:
    """Read what resumed an interrupt that asks a person: whatever is not one of the `approving` words is a rejection.

    The server resumes with a settled row; LangGraph Studio and notebooks with any JSON, whose text is the feedback.
    """
    if isinstance(answer, dict):
        ends = answer.get("ended_by") in get_args(EndedBy)
        edits = answer.get("decision") == "edit" and not isinstance(answer.get("arguments"), dict)
        if ends or (answer.get("decision") in approving and not edits):
            return cast(Answer, answer)
        answer = answer.get("feedback")
    return Answer(decision="reject", feedback=answer if isinstance(answer, str) else None)


def as_result(answer: Any) -> Answer:
    """Read what resumed an interrupt that waits for a result; what is not the form of an Answer is the bare result."""
    if not isinstance(answer, dict) or not answer or answer.keys() - Answer.__annotations__.keys():
        return Answer(result=answer)
    return cast(Answer, answer) if answer.get("decision") in (None, "approve", "edit") else as_decision(answer, ())


def result_text(result: Any, error: str | None) -> str:
    """Write a client's result for the model (S4): an error wins, a string stays as it is, anything else is JSON."""
    if error:
        return f"Error: {error}"
    if result is None:
        return "Tool executed successfully"
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def question_text(arguments: Mapping[str, Any]) -> str:
    """The tool message of a follow-up question (S18)."""
    return json.dumps(
        {
            "status": "question_asked",
            "question": arguments.get("question"),
            "suggestions": arguments.get("suggestions"),
        },
        ensure_ascii=False,
    )


def switch_text(mode: str, content: str) -> str:
    """The tool message of a switch that the user was asked about (S15)."""
    if decision_word(content) == "approve":
        return f"Switched to {mode} agent"
    return f"The user did not agree to the switch to {mode} agent: {content}"


def plan_text(plan_id: str, answer: Answer) -> str:
    """The tool message of a plan (S19)."""
    decided = {"approve": "approved", "reject": "rejected", "modify": "modification_requested"}
    ended = {"message": "superseded", "cancel": "cancelled", "expiry": "expired"}
    status = decided.get(answer.get("decision") or "") or ended[answer.get("ended_by") or "message"]
    return json.dumps({"status": status, "plan_id": plan_id, "feedback": answer.get("feedback")}, ensure_ascii=False)


def tool_text(answer: Answer) -> str:
    """The tool message of a call that the client runs, approved, rejected or left without an answer."""
    ended_by = answer.get("ended_by")
    if ended_by:
        return (_NOT_DECIDED if answer.get("undecided") else _NO_RESULT)[ended_by]
    if answer.get("decision") == "reject":
        feedback = (answer.get("feedback") or "").strip()
        return f"The user rejected this call: {feedback}" if feedback else "The user rejected this call."
    text = result_text(answer.get("result"), answer.get("error"))
    edited = answer.get("arguments")
    if edited is not None:
        changed = json.dumps(edited, ensure_ascii=False)
        return f"The user changed the arguments to {changed} before running.\n{text}"
    return text


def unmade_edit_text(answer: Answer) -> str:
    """The tool message of an edit of which only the read was settled: the file was not changed."""
    if answer.get("ended_by") or answer.get("decision") == "reject" or answer.get("error"):
        return tool_text({**answer, "undecided": True})
    return NOT_EDITED
