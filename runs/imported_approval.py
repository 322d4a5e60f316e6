"""A pending approval of the original service as a pause of our graph: it is decided here, and its result goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.types import Command, Send

from agents.replies.dispatch import judge
from agents.roster import agents_of
from context import Context
from llm.chat_model import WrittenCall
from policy.rules import Rules
from runs.drive.attempt import thread_config
from runs.thread import missing_messages
from settings import Settings
from storage.checkpoints import Checkpoints
from storage.database import stamp_in
from storage.legacy.transfer import Pause, Paused
from storage.tables.messages import MessageRecord
from storage.tables.runs import Run
from wire.chunks import call_digest


def pausing(graph: Any, rules: Rules, settings: Settings) -> Pause:
    """How `import_legacy` makes a session wait for an approval that the original left pending."""
    return partial(_pause, graph, rules, settings)


async def _pause(
    graph: Any,
    rules: Rules,
    settings: Settings,
    checkpoints: Checkpoints,
    run: Run,
    history: Sequence[MessageRecord],
    call: Mapping[str, Any],
) -> Paused | None:
    """Put the thread of an imported session before its last call; None when our policy would not ask about the call."""
    offering = {agent.name: agent for agent in agents_of(multi_agent=settings.multi_agent_mode)}
    agent = offering[call["agent"]]
    context = Context(rules=rules, multi_agent=settings.multi_agent_mode)
    offered = frozenset(tool.name for tool in agent.offered(single=not settings.multi_agent_mode))
    if call["tool_name"] not in offered:
        return None
    raw = json.dumps(call["arguments"], ensure_ascii=False)
    written = WrittenCall(call["call_id"], call["tool_name"], call["arguments"], raw, None)
    step = judge([written], [call["call_id"]], agent, offered, {}, context, lambda _: None)
    decided = step.round[0] if step.round else None
    if decided is None or decided["verdict"]["verdict"] != "ask":
        return None
    thread = [
        message
        for message in missing_messages([], history, settings.max_tool_result_chars)
        if not (isinstance(message, ToolMessage) and message.tool_call_id == call["call_id"])
    ]
    state = {"messages": thread, "agent": agent.name, "chosen_by": "router", "turn": {}, "round": []}
    saver = checkpoints.saver()
    paused = await graph.copy({"checkpointer": saver}).ainvoke(
        Command(update=state, goto=[Send("approval", decided)]),
        thread_config(run),
        context=context,
        durability="exit",
    )
    verdict = decided["verdict"]
    hours = settings.approval_expiry_hours
    record = {
        **call,
        "interrupt_id": paused["__interrupt__"][0].id,
        "arguments": decided["arguments"],
        "verdict": verdict,
        "digest": call_digest(
            run.session_id,
            call["call_id"],
            agent.name,
            call["tool_name"],
            decided["arguments"],
            verdict.get("policy_version", ""),
        ),
        "state": "pending",
        "undecided": False,
        "ended_by": None,
        "expires_at": stamp_in(hours) if hours else None,
        "settled_at": None,
    }
    return Paused(record, saver)
