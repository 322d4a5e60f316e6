"""The interrupt for a human decision on one call, and for the result of an approved one."""

from __future__ import annotations

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agents.replies.edited_call import refusal_of_edit
from agents.thread.tool_messages import Answer, as_decision
from context import Context, context_of
from nodes.ide_call import RESULT_SCHEMA, Settled, settled
from state import DecidedCall

DECISION_SCHEMA = {
    "type": "object",
    "title": "Decision and result",
    "properties": {
        "decision": {"type": "string", "enum": ["approve", "edit", "reject"]},
        "feedback": {"type": "string"},
        "arguments": {"type": "object", "description": "the arguments as edited, with decision edit"},
        **RESULT_SCHEMA["properties"],
    },
}


async def wait_for_approval(state: DecidedCall, runtime: Runtime[Context]) -> Command[Settled]:
    """Pause until the call is settled: rejected, or approved, run by the client and answered."""
    answer = as_decision(interrupt({"kind": "approval", **state}, response_schema=DECISION_SCHEMA), ("approve", "edit"))
    return settled(state, _judged(answer, state, context_of(runtime)), runtime)


def _judged(answer: Answer, call: DecidedCall, context: Context) -> Answer:
    """Reject an edit that the policy denies; the server has judged it when it was decided."""
    arguments = answer.get("arguments")
    if context.edits_are_judged or answer.get("decision") != "edit" or not isinstance(arguments, dict):
        return answer
    refusal = refusal_of_edit(call["tool_name"], call["agent"], arguments, context.facts, context.rules)
    return answer if refusal is None else Answer(decision="reject", feedback=refusal)
