"""The pause for a call that the client runs without asking."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agents.thread.tool_messages import tool_text
from context import Context, context_of
from policy.verdicts.sanitize import cap, clean_result
from state import DecidedCall, tool_message

READ_ON = {
    "read_file": "\n[To read what was left out, call read_file with start_line and end_line.]",
    "list_files": "\n[To see what was left out, list one folder, or give a pattern.]",
    "search_in_code": "\n[To see what was left out, give a path, a file_pattern or fewer max_results.]",
}
"""How a model gets at the part of a result that was cut."""

RESULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Result",
    "properties": {"result": {"description": "any JSON"}, "error": {"type": "string"}},
}


async def wait_for_result(state: DecidedCall, runtime: Runtime[Context]) -> Command[Literal["specialist"]]:
    """Pause until the client has run the call and sent its result."""
    answer = interrupt({"kind": "ide_call", **state}, response_schema=RESULT_SCHEMA)
    return settled(state, answer, context_of(runtime))


def settled(call: DecidedCall, answer: Any, context: Context) -> Command[Literal["specialist"]]:
    """Write the call's one ToolMessage; anything but an Answer is taken as the bare result."""
    if not isinstance(answer, dict):
        answer = {"result": answer}
    whole = clean_result(tool_text(answer))
    content = cap(whole, context.max_tool_result_chars)
    if len(whole) > context.max_tool_result_chars:
        content += READ_ON.get(call["tool_name"], "")
    message = tool_message(call["call_id"], call["tool_name"], content)
    if not answer.get("ended_by") and answer.get("decision") != "reject":
        message.additional_kwargs["untrusted"] = True
    return Command(update={"messages": [message]}, goto="specialist")
