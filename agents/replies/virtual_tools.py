"""The calls that change the turn itself: finish, ask, plan, switch (docs/scenarios.md S15, S17-S19)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.messages import AnyMessage
from langgraph.types import Send

from agents import custom_events
from agents.custom_events import Writer
from agents.roster import ROSTER, ROUTER
from agents.thread.plans import PlanInvalid, build_plan
from context import Context
from state import AgentState, DecidedCall, Turn, tool_message
from tools.catalog import BY_NAME

MAX_HOPS = 5


@dataclass
class Effect:
    """The effect of a virtual call on the thread; `goto` is empty where the turn ends."""

    messages: list[AnyMessage] = field(default_factory=list)
    update: dict[str, Any] = field(default_factory=dict)
    goto: str | list[Send] = "specialist"


def take_effect(call: DecidedCall, state: Any, context: Context, write: Writer) -> Effect:
    """Carry out a virtual call after the other calls of its reply are settled."""
    state = cast(AgentState, state)
    match BY_NAME[call["tool_name"]].effect:
        case "complete":
            return _complete(call, write)
        case "question":
            question = {"question": call["arguments"]["question"], "suggestions": call["arguments"]["suggestions"]}
            return Effect(goto=[Send("question", {"kind": "question", **call, **question})])
        case "plan":
            return _plan(call, state, context)
        case _:
            return switch(call, state, context, write)


def _complete(call: DecidedCall, write: Writer) -> Effect:
    result, message_id = call["arguments"]["result"], f"completion:{call['call_id']}"
    write({"event": "message", "message_id": message_id, "content": result, "metadata": {}, "streamed": False})
    content = json.dumps({"status": "completed", "result": result}, ensure_ascii=False)
    return Effect([tool_message(call["call_id"], call["tool_name"], content)], goto="")


def _plan(call: DecidedCall, state: AgentState, context: Context) -> Effect:
    turn = state.get("turn") or Turn()
    try:
        plan = build_plan(call["arguments"], context.clock(), replaces=turn.get("replaces"))
    except PlanInvalid as error:
        return Effect([tool_message(call["call_id"], call["tool_name"], f"The plan is not valid: {error}")])
    reviewed = {**call, "plan": plan, "turn": turn, "chosen_by": state.get("chosen_by", "user")}
    return Effect(goto=[Send("plan_review", reviewed)])


def switch(call: DecidedCall, state: AgentState, context: Context, write: Writer, *, agreed: bool = False) -> Effect:
    """Hand over to another agent, ask the user first where the setting wants it, or refuse (S15)."""
    call_id, name = call["call_id"], call["tool_name"]
    target = call["arguments"]["mode"]
    reason = call["arguments"].get("reason") or "Agent requested switch"
    current = state.get("agent") or ROUTER.name
    if target == current:
        return Effect([tool_message(call_id, name, f"You are the {target} agent already: go on with the task.")])
    turn = state.get("turn") or Turn()
    hops = turn.get("hops", 0)
    if hops >= MAX_HOPS or hops >= context.switches_left:
        limit = "switch_hops" if hops >= MAX_HOPS else "max_switches"
        sentence = "The agents handed the task over too often in this turn or session; the turn ended."
        write(custom_events.failed("limit_reached", sentence, limit=limit, agent=current))
        return Effect([tool_message(call_id, name, "Too many switches in this turn.")], goto="")
    gains_writing = ROSTER[current].writes == "none" and ROSTER[target].writes != "none"
    asks = context.switch_approval or call.get("as_text", False)
    if asks and gains_writing and not agreed:
        question = f"Switch to {target} agent? {reason}"
        asked = {"kind": "switch", **call, "question": question, "suggestions": ["yes", "no"], "turn": turn}
        return Effect(goto=[Send("question", asked)])
    update = {
        "agent": target,
        "chosen_by": "agent",
        "previous_agent": current,
        "turn": {**turn, "hops": hops + 1},
    }
    if target != ROUTER.name:
        write(custom_events.switched(current, target, reason, "medium", "agent"))
    goto = "router" if target == ROUTER.name else "specialist"
    return Effect([tool_message(call_id, name, f"Switched to {target} agent")], update, goto)
