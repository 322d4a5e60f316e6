"""The specialist: one function that runs every agent of the roster, one model call at a time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from langchain_core.messages import AIMessage, SystemMessage, ToolMessage
from langgraph.graph import END
from langgraph.runtime import Runtime
from langgraph.types import Command

from agents import custom_events
from agents.budget import ENDED, ask_for_budget
from agents.compaction import compact, recompact
from agents.model_call import declared
from agents.replies.ask_model import Said, ask
from agents.replies.compiled_edit import ids_of
from agents.replies.dispatch import Step, go_on, judge
from agents.roster import Agent, agents_of
from agents.thread.conversation import (
    CHARS_PER_TOKEN,
    current_agent,
    current_subtask,
    end_of_turn,
    estimate_tokens,
    fills_window,
    is_cut_by_server,
    last_reading,
    readable,
    reading_of,
    size_of,
    visible,
)
from context import Context, context_of, writer_of
from errors import BudgetUsedUp, ContextTooLong, ModelError
from llm.chat_model import BUILT_IN_MODEL, WrittenCall
from llm.reply.body import kept_extras
from prompts.instructions import instruction_files
from prompts.render import Prompt, agent_prompt
from prompts.size import prompt_size
from state import AgentState, Turn
from tools.tool import Tool

Next = Literal[
    "router", "specialist", "approval", "ide_call", "question", "plan_review", "local_call", "plan_step", "__end__"
]

INSTRUCTION_SHARE = 0.25
"""The share of the context window that the project's instructions may fill; the conversation needs the rest."""
ENDED_SILENTLY = "(The model ended its turn without a message.)"


async def work(state: AgentState, runtime: Runtime[Context]) -> Command[Next]:
    """Continue the open round of calls, else call the model and judge the calls of its reply."""
    context = context_of(runtime)
    write = writer_of(runtime)
    if state.get("round"):
        return go_on(Step(), state, context, write).command(state)
    turn = state.get("turn") or {}
    model_calls = turn.get("model_calls", 0)
    if model_calls >= context.max_model_calls:
        sentence = f"The turn reached its limit of {context.max_model_calls} model calls."
        return _fail(state, write, "limit_reached", sentence, limit="max_model_calls_per_turn")
    if "stopped_by" in turn:
        return _fail(state, write, "limit_reached", ENDED, limit=turn["stopped_by"])
    asked = await ask_for_budget(state, context, "specialist") if context.budget is not None else []
    if asked:
        return Command(goto=asked)
    agent = current_agent(state)
    tools = _offered(agent, state, context)
    prompt = _prompt(agent, tools, state, context)
    prompt_chars = len(prompt.text) + len(declared(tools))
    seen = visible(state)
    sent_chars = prompt_chars + size_of(seen)
    tokens = estimate_tokens(sent_chars, last_reading(seen))
    if fills_window(state, tokens, context.context_tokens):
        return await compact(state, tokens, prompt_chars, agent, context, write)
    message_id = f"msg_{uuid.uuid4().hex}"
    try:
        said = await ask(
            context,
            write,
            [SystemMessage(prompt.text), *readable(seen)],
            agent=agent,
            prompt=prompt,
            tools=tools,
            message_id=message_id,
            needs_plan=bool(turn.get("planning")) and not turn.get("replaces"),
            spare_calls=context.max_model_calls - model_calls - 1,
            several_calls=_may_call_several(context),
            text_calls=context.models.name not in state.get("native_callers", []),
        )
    except BudgetUsedUp:
        return Command(goto="specialist")
    except ModelError as error:
        recompacted = await recompact(state, agent, context, write) if isinstance(error, ContextTooLong) else None
        told: dict[str, Any] = {"retryable": error.retryable, "retry_after_s": error.details.get("retry_after_s")}
        return recompacted or _fail(state, write, error.code, error.message, agent=agent.name, **told)
    turn = Turn(**{**turn, "model_calls": model_calls + said.model_calls})
    if is_cut_by_server(sent_chars, said.prompt_tokens) and context.models.name != BUILT_IN_MODEL:
        write({"event": "context_cut", "agent": agent.name, "metadata": {"prompt_tokens": said.prompt_tokens or 0}})
    if said.is_nothing:
        said = replace(said, text=ENDED_SILENTLY, implicit=True)
    if said.text.strip():
        about: dict[str, Any] = {"implicit": True} if said.implicit else {}
        about = {"before_tool_call": True} if said.calls else about
        write({"event": "message", "message_id": message_id, "content": said.text, "metadata": about})
    ids = await _unique_ids(said.calls, state, context)
    beside = {call_id: call.extras for call_id, call in zip(ids, said.calls, strict=True)}
    message = AIMessage(
        content=said.text,
        id=message_id,
        name=agent.name,
        additional_kwargs=kept_extras(context.models.name, said.extras, beside),
        response_metadata=reading_of(said.prompt_tokens, sent_chars),
    )
    if not said.calls:
        after = end_of_turn(state)
        return Command(update={"turn": None if after == END else turn, "messages": [message]}, goto=after)
    return _call(said, ids, message, agent, turn, state, context, write)


def _call(
    said: Said,
    ids: Sequence[str],
    message: AIMessage,
    agent: Agent,
    turn: Turn,
    state: AgentState,
    context: Context,
    write: Any,
) -> Command[Next]:
    message.tool_calls = [
        {"id": call_id, "name": call.name or "unknown", "args": call.arguments or {}, "type": "tool_call"}
        for call_id, call in zip(ids, said.calls, strict=True)
    ]
    offered = frozenset(tool.name for tool in _offered(agent, state, context))
    thread = state.get("messages", [])
    step = judge(said.calls, ids, agent, offered, turn, context, write, as_text=said.as_text, thread=thread)
    step.messages.insert(0, message)
    callers = state.get("native_callers", [])
    if said.is_native and context.models.name not in callers:
        step.update["native_callers"] = [*callers, context.models.name]
    if step.failure is not None:
        code, sentence, metadata = step.failure
        return _fail(state, write, code, sentence, step=step, agent=agent.name, **metadata)
    return go_on(step, state, context, write).command(state)


async def _unique_ids(calls: Sequence[WrittenCall], state: AgentState, context: Context) -> list[str]:
    """Keep the model's call ids where they are valid and new in the session (docs/protocol.md, Tools)."""
    wanted = [ids_of(call.id, call.name) for call in calls]
    taken = await context.used_calls([call_id for group in wanted for call_id in group if _is_usable(call_id)])
    taken |= {m.tool_call_id for m in state.get("messages", []) if isinstance(m, ToolMessage)}
    ids: list[str] = []
    for call, group in zip(calls, wanted, strict=True):
        usable = all(_is_usable(call_id) for call_id in group) and taken.isdisjoint(group)
        ids.append(call.id if usable else f"call_{uuid.uuid4().hex}")
        taken |= set(ids_of(ids[-1], call.name))
    return ids


def _is_usable(call_id: str) -> bool:
    """Whether a client can use this id for the call, in a URL path too, and it cannot be mistaken for a plan's id."""
    is_named = 0 < len(call_id) <= 64 and call_id.isprintable() and bool(call_id.strip("."))
    return is_named and not call_id.startswith("plan-approval-")


def _fail(
    state: AgentState, write: Any, code: str, sentence: str, *, step: Step | None = None, **metadata: Any
) -> Command[Next]:
    """End the turn with an error; inside a plan the plan ends with it."""
    write(custom_events.failed(code, sentence, **metadata))
    step = step or Step()
    step.goto = end_of_turn(state)
    step.update["round"] = []
    plan = state.get("plan")
    if plan:
        step.update["plan"] = {**plan, "failed": sentence}
    return step.command(state)


def _offered(agent: Agent, state: AgentState, context: Context) -> tuple[Tool, ...]:
    declared = context.facts.environment.tools
    return agent.offered(single=not context.multi_agent, in_plan=bool(state.get("plan")), declared=declared)


def _may_call_several(context: Context) -> bool:
    """Small models do best with one call at a time; clients of protocol version 1 are offered no more."""
    return context.offer_all_calls and prompt_size(context.prompt_size, context.models.name) == "concise"


def _prompt(agent: Agent, tools: Sequence[Tool], state: AgentState, context: Context) -> Prompt:
    plan, subtask = state.get("plan"), current_subtask(state)
    step = None
    if plan and subtask:
        done = {s["id"]: s for s in plan["subtasks"]}
        results = [
            {"description": done[d]["description"], "result": done[d]["result"]} for d in subtask["dependencies"]
        ]
        step = {"goal": plan["title"], "description": subtask["description"], "results": results}
    others = agents_of(multi_agent=True) if context.multi_agent and not plan else ()
    given, share = context.environment or {}, round(INSTRUCTION_SHARE * context.context_tokens * CHARS_PER_TOKEN)
    return agent_prompt(
        agent.name,
        size=prompt_size(context.prompt_size, context.models.name),
        several_calls=_may_call_several(context),
        tools=[(tool.name, tool.description) for tool in tools],
        environment=context.environment,
        instructions=instruction_files(context.environment, share) if given.get("instructions") else "",
        other_agents=[(other.name, other.when) for other in others if other.name != agent.name],
        subtask=step,
        reload=context.prompt_reload,
    )
