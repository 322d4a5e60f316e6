"""The interrupt for a human decision on one call, and for the result of an approved one."""

from __future__ import annotations

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agents.thread.tool_messages import as_decision
from context import Context
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
    answer = interrupt({"kind": "approval", **state}, response_schema=DECISION_SCHEMA)
    return settled(state, as_decision(answer, ("approve", "edit")), runtime)
