"""Repair of a thread at the start of a turn, before any agent works on it.

Scenarios such as S13: docs/scenarios.md.
"""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AnyMessage
from langgraph.types import Overwrite

from agents.thread.compaction import NOTE_PREFIX
from agents.thread.conversation import hidden_message, is_said_by_user
from agents.thread.plans import plan_note
from agents.thread.tool_messages import tool_text
from state import AgentState, open_calls, tool_message


def enter(state: AgentState) -> dict[str, Any]:
    """Close what the last turn left open: its calls, its counters, and a plan that was executing (S13, S24).

    The server settles calls and counters itself, with what its tables know; LangGraph Studio and notebooks send nothing
    but the message.
    """
    messages = list(state.get("messages", []))
    if not messages or not is_said_by_user(messages[-1]):
        return {}
    update: dict[str, Any] = {}
    if (state.get("turn") or {}).get("model_calls"):
        update["turn"] = {}
    before, request = messages[:-1], messages[-1]
    added: list[AnyMessage] = []
    for call in open_calls(before):
        content = tool_text({"ended_by": "message", "undecided": True})
        added.append(tool_message(str(call["id"]), call["name"], content))
        update["round"] = []
    plan = state.get("plan")
    if plan:
        added.append(hidden_message(f"{NOTE_PREFIX}{plan['plan_id']}", plan_note(plan, "cancelled")))
        update["plan"] = None
    if added:
        update["messages"] = Overwrite([*before, *added, request])
    return update
