"""The interrupt for the user's decision on a plan.

Scenarios such as S20: docs/scenarios.md.
"""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agents.thread.plans import plan_markdown, plan_summary
from agents.thread.tool_messages import as_decision, plan_text
from context import Context, context_of, writer_of
from nodes.plan_step import after_plan
from state import DraftPlan, tool_message
from tools.create_plan import CREATE_PLAN

DECISION_SCHEMA = {
    "type": "object",
    "title": "Decision on the plan",
    "properties": {
        "decision": {"type": "string", "enum": ["approve", "reject", "modify"]},
        "feedback": {"type": "string", "description": "what to change, with decision modify"},
    },
    "required": ["decision"],
}


async def wait_for_decision(
    state: DraftPlan, runtime: Runtime[Context]
) -> Command[Literal["plan_step", "specialist", "__end__"]]:
    """Pause until the plan is approved, rejected or sent back (S20-S22)."""
    plan = state["plan"]
    summary = plan_summary(plan)
    resumed = interrupt(
        {
            "kind": "plan_review",
            "call_id": state["call_id"],
            "tool_name": CREATE_PLAN.name,
            "agent": state["agent"],
            "arguments": state["arguments"],
            "plan": plan,
            "plan_summary": summary,
            "content": plan_markdown(summary),
        },
        response_schema=DECISION_SCHEMA,
    )
    answer = as_decision(resumed, ("approve", "modify"))
    context = context_of(runtime)
    told = tool_message(state["call_id"], CREATE_PLAN.name, plan_text(plan["plan_id"], answer))
    decision = answer.get("decision")
    if decision == "approve":
        now = context.clock().isoformat()
        approved = {**plan, "status": "executing", "approved_at": now, "agent": state["agent"]}
        return Command(update={"messages": [told], "plan": approved}, goto="plan_step")
    plan_id = plan["plan_id"]
    if decision == "modify":
        metadata = {"plan_id": plan_id, "fsm_state": "architect_planning", "feedback": answer.get("feedback")}
        writer_of(runtime)({"event": "plan_modification_requested", "metadata": metadata})
        turn = {**state["turn"], "replaces": plan_id}
        return Command(update={"messages": [told], "turn": turn}, goto="specialist")
    writer_of(runtime)({"event": "plan_rejected", "metadata": {"plan_id": plan_id, "fsm_state": "idle"}})
    return Command(update={"messages": [told], **after_plan(state["chosen_by"])}, goto="__end__")
