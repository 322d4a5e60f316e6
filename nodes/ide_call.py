"""The interrupt for a call that the client runs without approval."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agents.replies.compiled_edit import go_on_after
from agents.replies.dispatch import send_to_client
from agents.thread.tool_messages import Answer, as_result
from context import Context, context_of, writer_of
from policy.verdicts.sanitize import cap, clean_result
from state import DecidedCall, answer_to
from tools.catalog import BY_NAME

Settled = Literal["specialist", "approval", "ide_call"]
"""Where a settled call leads: back to the model's agent, or to the write that completes an edit."""
RESULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Result",
    "properties": {"result": {"description": "any JSON"}, "error": {"type": "string"}},
}


async def wait_for_result(state: DecidedCall, runtime: Runtime[Context]) -> Command[Settled]:
    """Pause until the client has run the call and sent its result."""
    answer = interrupt({"kind": "ide_call", **state}, response_schema=RESULT_SCHEMA)
    return settled(state, as_result(answer), runtime)


def settled(call: DecidedCall, answer: Answer, runtime: Runtime[Context]) -> Command[Settled]:
    """Write the call's one ToolMessage from its outcome, or go on with the edit of which it was the read.

    The history keeps in full what the model reads truncated.
    """
    context = context_of(runtime)
    following = go_on_after(call, answer, context)
    if not isinstance(following, str):
        return Command(goto=[send_to_client(following)])
    limit = context.max_tool_result_chars
    whole = clean_result(following)
    content = cap(whole, limit)
    message = answer_to(call, content)
    if len(whole) > limit:
        writer_of(runtime)({"event": "whole_result", "call_id": message.tool_call_id, "content": whole})
        refetch = BY_NAME[call["tool_name"]].refetch
        message.content = f"{content}\n[{refetch}]" if refetch else content
    if not answer.get("ended_by") and answer.get("decision") != "reject":
        message.additional_kwargs["untrusted"] = True
    return Command(update={"messages": [message]}, goto="specialist")
