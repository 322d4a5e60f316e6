"""From the calls of a reply to the nodes that carry them out: judged once, then local, client and virtual in turn.

Scenarios such as S25: docs/scenarios.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from langchain_core.messages import AnyMessage
from langgraph.types import Command, Send

from agents.custom_events import Writer
from agents.replies.compiled_edit import begin, decided, is_compiled, is_read_of_edit, read_of
from agents.replies.lossy_write import loss_of, loss_of_edit
from agents.replies.virtual_tools import take_effect
from agents.roster import CHECKED_TOOLS, Agent
from agents.thread.conversation import end_of_turn
from agents.thread.tool_messages import AGAIN_THE_SAME, ONE_AT_A_TIME
from context import Context
from llm.chat_model import WrittenCall
from policy.decide import Call, decide
from state import AgentState, DecidedCall, Turn, answer_to, tool_message
from tools.catalog import BY_NAME
from tools.edit_file import EDIT_FILE
from tools.write_file import WRITE_FILE, refusal_of_loss

MAX_BAD_REPLIES = 3
MAX_DENIALS = 3
MAX_REPEATS = 3
"""Identical calls in a row before the runtime refuses the next one."""
MAX_CYCLE = 3
"""The longest cycle of different calls that is noticed when it repeats."""
MAX_CYCLES = 2
"""Warnings about repeated calls in one turn; after them the turn ends."""


@dataclass
class Step:
    """What a node leaves behind: messages, other state, and where to go next."""

    messages: list[AnyMessage] = field(default_factory=list)
    update: dict[str, Any] = field(default_factory=dict)
    goto: str | list[Send] = "specialist"
    round: list[DecidedCall] | None = None
    failure: tuple[str, str, dict[str, Any]] | None = None
    """Code, sentence and metadata when the turn has to end."""

    def command(self, state: AgentState) -> Command[Any]:
        """Write it as LangGraph's Command; an empty round is only written where there was one."""
        update = dict(self.update)
        if self.messages:
            update["messages"] = self.messages
        if self.round or (self.round is not None and state.get("round")):
            update["round"] = self.round
        return Command(update=update, goto=self.goto)


def signature(tool_name: str, arguments: Any) -> str:
    """A hash of a call, by which equal calls are recognised without keeping their arguments."""
    text = json.dumps([tool_name, arguments], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def judge(
    calls: Sequence[WrittenCall],
    ids: Sequence[str],
    agent: Agent,
    offered: frozenset[str],
    turn: Turn,
    context: Context,
    write: Writer,
    *,
    as_text: bool = False,
    thread: Sequence[AnyMessage] = (),
) -> Step:
    """Answer every call that is denied or malformed with its ToolMessage; the others form the round.

    `as_text`: the calls were found in the text of the reply. `thread`: what the session has read and written.
    """
    step = Step(round=[])
    assert step.round is not None
    turn = Turn(**turn)
    bad = False
    for index, (call_id, call) in enumerate(zip(ids, calls, strict=True)):
        if index and not context.offer_all_calls:
            step.messages.append(tool_message(call_id, call.name, ONE_AT_A_TIME))
            continue
        problem = _problem(call, offered)
        if problem:
            bad = True
            step.messages.append(tool_message(call_id, call.name, problem))
            continue
        asked = Call(call.name, call.arguments or {}, as_text)
        refusal = _admit(step, call_id, asked, agent, offered, turn, context, write, thread)
        if refusal:
            step.messages.append(tool_message(call_id, call.name, refusal))
    turn["bad_replies"] = turn.get("bad_replies", 0) + 1 if bad else 0
    if turn["bad_replies"] >= MAX_BAD_REPLIES and step.failure is None:
        step.failure = (
            "llm_bad_reply",
            "The language model wrote unusable tool calls three times in succession.",
            {"retryable": True},
        )
    if step.failure is not None:
        ended = "The turn ended before this call was run."
        step.messages += [answer_to(call, ended) for call in step.round]
        step.round = []
    step.update["turn"] = turn
    return step


def _problem(call: WrittenCall, offered: frozenset[str]) -> str | None:
    """Why the arguments cannot be used, as the model is told (S25)."""
    if call.arguments is None:
        return f"The arguments of this call are not valid JSON: {call.problem}"
    misfit = CHECKED_TOOLS[call.name].misfit(call.arguments) if call.name in offered else None
    return f"The arguments of this call do not fit the tool: {misfit}" if misfit else None


def _admit(
    step: Step,
    call_id: str,
    call: Call,
    agent: Agent,
    offered: frozenset[str],
    turn: Turn,
    context: Context,
    write: Writer,
    thread: Sequence[AnyMessage],
) -> str | None:
    """Take a call into the round, or give the text of its refusal."""
    assert step.round is not None
    arguments = dict(call.arguments)
    sign = signature(call.tool, arguments)
    rights = agent.rights(offered)
    verdict = decide(call, rights, context.facts, context.rules)
    admitted = decided(call_id, call, agent.name, verdict)
    read = read_of(call) if verdict.decision != "deny" and is_compiled(call.tool, context) else None
    if read is not None:
        verdict = decide(read, rights, context.facts, context.rules)
        admitted = begin(admitted, read, verdict)
    if verdict.decision == "deny":
        text = verdict.reasons[0].text
        denials = {**turn.get("denials", {})}
        denials[sign] = denials.get(sign, 0) + 1
        turn["denials"] = denials
        wire = verdict.as_wire()
        metadata = {"call_id": call_id, "tool_name": call.tool, "code": verdict.denial_code}
        metadata |= {"reasons": wire["reasons"], "danger": wire["danger"]}
        write({"event": "denied", "agent": agent.name, "content": text, "arguments": arguments, "metadata": metadata})
        if denials[sign] >= MAX_DENIALS:
            step.failure = (verdict.denial_code, text, {"call_id": call_id, "tool_name": call.tool})
        return text
    recent = [*turn.get("recent_calls", []), sign][-MAX_CYCLE * MAX_REPEATS :]
    turn["recent_calls"] = recent
    if is_cycle(recent):
        turn["cycles"] = turn.get("cycles", 0) + 1
        if turn["cycles"] > MAX_CYCLES:
            sentence = "The agent kept repeating the same tool calls."
            step.failure = ("limit_reached", sentence, {"limit": "repeated_call"})
        return AGAIN_THE_SAME
    loss, root = None, context.facts.environment.workspace_root
    if call.tool == WRITE_FILE.name:
        loss = loss_of(verdict, str(arguments.get("content", "")), thread, root)
    elif call.tool == EDIT_FILE.name and read is None:
        loss = loss_of_edit(verdict, arguments, thread, root)
    if loss is not None:
        if not context.facts.human:
            return refusal_of_loss(loss)
        admitted = decided(call_id, call, agent.name, verdict.asked_about(loss))
    if any(_stage(c["tool_name"]) == "virtual" for c in step.round) and _stage(call.tool) == "virtual":
        return ONE_AT_A_TIME
    step.round.append(admitted)
    return None


def is_cycle(signs: Sequence[str]) -> bool:
    """Whether the last calls, at most three in turn, were made three times in succession."""
    sizes = range(1, min(MAX_CYCLE, len(signs) // MAX_REPEATS) + 1)
    return any(list(signs[-size * MAX_REPEATS :]) == list(signs[-size:]) * MAX_REPEATS for size in sizes)


def _stage(tool_name: str) -> str:
    """The order of a round: local tools first, then the client's, then one virtual tool."""
    return BY_NAME[tool_name].runs


def send_to_client(call: DecidedCall) -> Send:
    """Hand a call to the node that waits for it."""
    return Send("approval" if call["verdict"]["verdict"] == "ask" else "ide_call", call)


def _next_of_client(calls: Sequence[DecidedCall]) -> list[DecidedCall]:
    """All calls up to the next edit that is compiled, or that edit alone: its write follows before anything else."""
    if is_read_of_edit(calls[0]):
        return [calls[0]]
    return list(takewhile(lambda call: not is_read_of_edit(call), calls))


def go_on(step: Step, state: AgentState, context: Context, write: Writer) -> Step:
    """Send the next stage of the round to its nodes; with nothing left the model is asked again."""
    round_ = list(step.round if step.round is not None else state.get("round") or [])
    local = [call for call in round_ if _stage(call["tool_name"]) == "local"]
    client = [call for call in round_ if _stage(call["tool_name"]) == "client"]
    step.round = []
    if local:
        step.round = [call for call in round_ if call not in local]
        step.goto = [Send("local_call", call) for call in local]
    elif client:
        now = _next_of_client(client)
        step.round = [call for call in round_ if call not in now]
        step.goto = [send_to_client(call) for call in now]
    elif round_:
        effect = take_effect(round_[0], {**state, **step.update}, context, write)
        step.messages += effect.messages
        step.update |= effect.update
        step.goto = effect.goto or end_of_turn(state)
    return step
