"""Between two subtasks of a plan: record the finished one, start the next, or end the plan (docs/scenarios.md S20)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

from agents.roster import ROUTER
from agents.thread.conversation import hidden_message, subtask_request
from agents.thread.plans import NOTE_PREFIX, next_subtask, plan_note, plan_summary, progress
from context import Context, context_of, writer_of
from state import AgentState
from tools.attempt_completion import ATTEMPT_COMPLETION


async def advance(state: AgentState, runtime: Runtime[Context]) -> Command[Literal["specialist", "__end__"]]:
    """Close the subtask that has ended and go on in dependency order."""
    context, write = context_of(runtime), writer_of(runtime)
    now = context.clock()
    before = state.get("plan")
    assert before is not None, "plan_step runs only while a plan executes"
    plan: dict[str, Any] = {**before, "subtasks": [dict(s) for s in before["subtasks"]]}
    running = next((s for s in plan["subtasks"] if s["status"] == "running"), None)
    if running is not None and "failed" in plan:
        running.update(status="failed", completed_at=now.isoformat())
    elif running is not None:
        text, chunks = _result(state.get("messages", []), running["id"])
        running.update(status="completed", result=text, completed_at=now.isoformat())
        write({"event": "subtask_completed", "content": text, "metadata": _completed(plan, running, chunks)})
    if "failed" in plan:
        for subtask in plan["subtasks"]:
            if subtask["status"] == "pending":
                subtask["status"] = "skipped"
        return _end(state, plan, "failed", context, write)
    following = next_subtask(plan)
    if following is None:
        return _end(state, plan, "completed", context, write)
    number = progress(plan, started=True)
    following.update(status="running", started_at=now.isoformat())
    metadata = {
        "plan_id": plan["plan_id"],
        "subtask_id": following["id"],
        "agent": following["agent"],
        "progress": number,
    }
    told = {"content": following["description"], "metadata": metadata, "arguments": plan_summary(plan)}
    write({"event": "subtask_started", **told})
    return Command(update={"plan": plan, "messages": [subtask_request(following)]}, goto="specialist")


def after_plan(chosen_by: str | None) -> dict[str, Any]:
    """Return the current agent once a plan is over: the router again if it had chosen the planner (S23)."""
    if chosen_by == "user":
        return {"plan": None}
    return {"plan": None, "agent": ROUTER.name, "chosen_by": "router"}


def _end(state: AgentState, plan: dict[str, Any], status: str, context: Context, write: Any) -> Command[Any]:
    plan["status"] = status
    began = plan["approved_at"]
    seconds = (context.clock() - datetime.fromisoformat(began)).total_seconds()
    metadata = {
        "plan_id": plan["plan_id"],
        "status": status,
        "progress": progress(plan, started=False),
        "duration_seconds": round(seconds, 3),
    }
    write({"event": "plan_finished", "metadata": metadata, "arguments": plan_summary(plan)})
    update = after_plan(state.get("chosen_by"))
    if status == "failed":
        update["messages"] = [hidden_message(f"{NOTE_PREFIX}{plan['plan_id']}", plan_note(plan, status))]
    return Command(update=update, goto="__end__")


def _completed(plan: dict[str, Any], subtask: dict[str, Any], chunks: int) -> dict[str, Any]:
    started, completed = (datetime.fromisoformat(subtask[key]) for key in ("started_at", "completed_at"))
    return {
        "plan_id": plan["plan_id"],
        "subtask_id": subtask["id"],
        "status": "completed",
        "result": {"content": subtask["result"], "metadata": {}, "chunk_count": chunks},
        "agent": subtask["agent"],
        "started_at": subtask["started_at"],
        "completed_at": subtask["completed_at"],
        "duration_seconds": round((completed - started).total_seconds(), 3),
    }


def _result(messages: list[AnyMessage], subtask_id: str) -> tuple[str, int]:
    """The last message of the subtask's agent, and the number of its messages."""
    own: list[AnyMessage] = []
    for message in reversed(messages):
        if isinstance(message, HumanMessage) and message.id == f"subtask:{subtask_id}":
            break
        own.append(message)
    for message in own:
        if isinstance(message, ToolMessage) and message.name == ATTEMPT_COMPLETION.name:
            return str(json.loads(str(message.text))["result"]), len(own)
        if isinstance(message, AIMessage) and str(message.text).strip():
            return str(message.text), len(own)
    return "", len(own)
