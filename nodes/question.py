"""The interrupt for the user's answer to a question of the agent.

Scenarios such as S15: docs/scenarios.md.
"""

from __future__ import annotations

import uuid
from typing import Any, Literal

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agents.replies.virtual_tools import switch
from agents.thread.decision_words import decision_word
from agents.thread.tool_messages import question_text, switch_text
from context import Context, context_of, writer_of
from state import AgentState, AskedQuestion, tool_message

ANSWER_SCHEMA = {
    "type": "object",
    "title": "Answer",
    "properties": {"content": {"type": "string"}},
    "required": ["content"],
}


async def wait_for_answer(state: AskedQuestion, runtime: Runtime[Context]) -> Command[Literal["specialist", "router"]]:
    """Pause until the user answers; one about a switch or a budget is decided by the answer (S15, S18)."""
    answer = interrupt(dict(state), response_schema=ANSWER_SCHEMA)
    content = answer.get("content", "") if isinstance(answer, dict) else str(answer)
    message_id = (answer.get("message_id") if isinstance(answer, dict) else None) or f"user_{uuid.uuid4().hex}"
    if state["kind"] == "budget":
        return _after_budget(state, content)
    call_id, tool_name = state["call_id"], state["tool_name"]
    reply = HumanMessage(content, id=message_id)
    if state["kind"] != "switch":
        told = tool_message(call_id, tool_name, question_text(state["arguments"]))
        return Command(update={"messages": [told, reply]}, goto="specialist")
    if decision_word(content) != "approve":
        told = tool_message(call_id, tool_name, switch_text(state["arguments"]["mode"], content))
        return Command(update={"messages": [told, reply]}, goto="specialist")
    before: AgentState = {"agent": state["agent"], "turn": state["turn"]}
    effect = switch(state, before, context_of(runtime), writer_of(runtime), agreed=True)
    goto: Any = effect.goto
    return Command(update={**effect.update, "messages": [*effect.messages, reply]}, goto=goto)


def _after_budget(state: AskedQuestion, content: str) -> Command[Literal["specialist", "router"]]:
    """Go on where the budget was used up, or let the specialist end the turn; the thread holds nothing of it."""
    if decision_word(content) == "approve":
        return Command(goto=state["asker"])
    stopped_by = state["arguments"]["budgets"][0]["setting"]
    return Command(update={"turn": {**state["turn"], "stopped_by": stopped_by}}, goto="specialist")
