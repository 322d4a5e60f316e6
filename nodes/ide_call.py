"""The interrupt for a call that the client runs without approval."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agents import custom_events
from agents.thread.tool_messages import Answer, as_result, tool_text
from context import Context, context_of
from policy.verdicts.sanitize import cap, clean_result
from state import DecidedCall, tool_message
from tools.catalog import BY_NAME

RESULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Result",
    "properties": {"result": {"description": "any JSON"}, "error": {"type": "string"}},
}


async def wait_for_result(state: DecidedCall, runtime: Runtime[Context]) -> Command[Literal["specialist"]]:
    """Pause until the client has run the call and sent its result."""
    answer = interrupt({"kind": "ide_call", **state}, response_schema=RESULT_SCHEMA)
    return settled(state, as_result(answer), runtime)


def settled(call: DecidedCall, answer: Answer, runtime: Runtime[Context]) -> Command[Literal["specialist"]]:
    """Write the call's one ToolMessage from its outcome; the history keeps in full what the model reads truncated."""
    limit = context_of(runtime).max_tool_result_chars
    whole = clean_result(tool_text(answer))
    content = cap(whole, limit)
    if len(whole) > limit:
        runtime.stream_writer(custom_events.whole_result(call["call_id"], whole))
        refetch = BY_NAME[call["tool_name"]].refetch
        content += f"\n[{refetch}]" if refetch else ""
    message = tool_message(call["call_id"], call["tool_name"], content)
    if not answer.get("ended_by") and answer.get("decision") != "reject":
        message.additional_kwargs["untrusted"] = True
    return Command(update={"messages": [message]}, goto="specialist")
