"""The part of a thread that an agent reads: its size, tool results marked as data, its repair as a turn starts.

Scenarios such as S20: docs/scenarios.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages import ToolCall as WrittenToolCall
from langgraph.types import Overwrite

from agents.roster import ALONE, ROSTER, ROUTER, Agent
from agents.thread.plans import NOTE_PREFIX, plan_note
from agents.thread.tool_messages import tool_text
from llm.reply.body import PROVIDER
from routing.terse import Spoken
from state import AgentState, tool_message
from tools.catalog import BY_NAME

FULL = 0.8
"""The share of the context window from which on the thread is compacted."""
CHARS_PER_TOKEN = 3
"""Low on purpose: code and Cyrillic have fewer characters a token than English prose (about 4)."""
_IMPOSSIBLE_CHARS_PER_TOKEN = 12
_NOTICEABLE_CHARS = 8000
_FENCE_END = re.compile(r"<\s*/\s*(?=tool_result)", re.IGNORECASE)
"""How a result could seem to end its own fence, also in spellings that only a model takes for the end."""


def current_agent(state: AgentState) -> Agent:
    """The agent that works now: the subtask's while a plan executes, else the current one."""
    subtask = current_subtask(state)
    return ROSTER[subtask["agent"] if subtask else state.get("agent") or ALONE.name]


def current_subtask(state: AgentState) -> dict[str, Any] | None:
    """The subtask of the executing plan that is running."""
    plan = state.get("plan")
    if not plan:
        return None
    return next((s for s in plan["subtasks"] if s["status"] == "running"), None)


async def first_node(state: AgentState) -> Literal["router", "specialist"]:
    """Where a turn begins: at the specialist where one is current and the last turn has left nothing open.

    A thread that an import has put before an open call ends with that call: no turn begins at the specialist there.
    """
    is_chosen = (state.get("agent") or ROUTER.name) != ROUTER.name
    messages = state.get("messages", [])
    is_begun = bool(messages) and is_said_by_user(messages[-1])
    return "specialist" if is_chosen and is_begun and not enter(state) else "router"


def end_of_turn(state: AgentState) -> Literal["plan_step", "__end__"]:
    """Where a finished answer leads: on with the plan, or out."""
    return "plan_step" if state.get("plan") else "__end__"


def visible_from(state: AgentState) -> int:
    """The index of the first message that the current agent reads: a subtask starts afresh (S20)."""
    subtask = current_subtask(state)
    if subtask is None:
        return 0
    return next(i for i, m in enumerate(state.get("messages", [])) if m.id == subtask_id(subtask))


def visible(state: AgentState) -> list[AnyMessage]:
    """The part of the thread that the current agent reads."""
    return list(state.get("messages", []))[visible_from(state) :]


def readable(messages: Sequence[AnyMessage]) -> list[BaseMessage]:
    """The messages as they are sent: results of the client's tools are marked as data."""
    return [_as_data(m) if isinstance(m, ToolMessage) and m.additional_kwargs.get("untrusted") else m for m in messages]


def _as_data(message: ToolMessage) -> ToolMessage:
    body = _FENCE_END.sub(r"<\\/", str(message.text))
    wrapped = f'<tool_result tool="{message.name}">\n{body}\n</tool_result>'
    return message.model_copy(update={"content": wrapped})


def size_of(messages: Sequence[BaseMessage]) -> int:
    """The characters of messages, their calls included."""
    return sum(len(str(m.content)) + (len(_beside_text(m)) if isinstance(m, AIMessage) else 0) for m in messages)


def reading_of(tokens: int | None, chars: int) -> dict[str, int]:
    """How long a request was, as its reply's `response_metadata` keeps it; empty where the server did not count."""
    return {} if tokens is None else {"prompt_tokens": tokens, "prompt_chars": chars}


def last_reading(messages: Sequence[BaseMessage]) -> tuple[int, int] | None:
    """Tokens, by the server's count, and characters of the newest request that was counted."""
    for message in reversed(messages):
        if isinstance(message, AIMessage) and "prompt_tokens" in message.response_metadata:
            return message.response_metadata["prompt_tokens"], message.response_metadata["prompt_chars"]
    return None


def estimate_tokens(chars: int, reading: tuple[int, int] | None) -> int:
    """Estimate the tokens of a request of this size from the server's count of the last one."""
    tokens, counted_chars = reading or (0, 0)
    return max(0, tokens + (chars - counted_chars) // CHARS_PER_TOKEN)


def _beside_text(message: AIMessage) -> str:
    """What goes out with an assistant message beside its text: calls, and what its provider wants back."""
    calls = json.dumps([[call["name"], call["args"]] for call in message.tool_calls]) if message.tool_calls else ""
    return calls + (json.dumps(kept) if (kept := message.additional_kwargs.get(PROVIDER)) else "")


def fills_window(state: AgentState, tokens: int, window: int) -> bool:
    """Whether a request of so many tokens nearly fills the window of the model, and the thread has grown meanwhile."""
    compacted_at = (state.get("turn") or {}).get("compacted_at", 0)
    return tokens > FULL * window and len(state.get("messages", [])) > compacted_at


def is_cut_by_server(chars: int, tokens: int | None) -> bool:
    """Whether a server counted so few tokens of a long request that it cannot have read all of it (Ollama does so)."""
    return tokens is not None and chars > _NOTICEABLE_CHARS and chars > tokens * _IMPOSSIBLE_CHARS_PER_TOKEN


def subtask_id(subtask: dict[str, Any]) -> str:
    """The id of the message that opens a subtask."""
    return f"subtask:{subtask['id']}"


def subtask_request(subtask: dict[str, Any]) -> HumanMessage:
    """The message that opens a subtask in the thread; clients do not see it."""
    return hidden_message(subtask_id(subtask), subtask["description"])


def hidden_message(message_id: str, content: str) -> HumanMessage:
    """A message for the models alone; it never comes into the history of the session."""
    return HumanMessage(content, id=message_id, additional_kwargs={"hidden": True})


def is_said_by_user(message: BaseMessage) -> bool:
    """Whether a user wrote it, and not the runtime."""
    return isinstance(message, HumanMessage) and not message.additional_kwargs.get("hidden")


def last_request(messages: Sequence[BaseMessage]) -> str:
    """The text of the newest message of the user."""
    return next((str(m.text) for m in reversed(messages) if is_said_by_user(m)), "")


def spoken(messages: Sequence[BaseMessage]) -> list[Spoken]:
    """What users and agents said to each other, completions and questions included."""
    said = [
        Spoken(is_said_by_user(m), str(m.text) if not isinstance(m, AIMessage) else _said_by_agent(m))
        for m in messages
        if isinstance(m, AIMessage) or is_said_by_user(m)
    ]
    return [one for one in said if one.text.strip()]


def _said_by_agent(message: AIMessage) -> str:
    """The text of a message, and what its finishing calls show to the user."""
    shown = {"complete": "result", "question": "question"}
    texts = [str(message.text)]
    for call in message.tool_calls:
        tool = BY_NAME.get(call["name"])
        argument = shown.get(tool.effect) if tool is not None and tool.effect is not None else None
        text = call["args"].get(argument) if argument else None
        texts += [text] if isinstance(text, str) else []
    return "\n".join(text for text in texts if text.strip())


def answered_tools(messages: Sequence[BaseMessage]) -> set[str]:
    """The names of the tools that were called since the user spoke last, or since the subtask began."""
    names: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            break
        if isinstance(message, AIMessage):
            names |= {call["name"] for call in message.tool_calls}
    return names


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


def open_calls(messages: Sequence[AnyMessage]) -> list[WrittenToolCall]:
    """The calls of the last assistant message that have no ToolMessage yet."""
    answered: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            answered.add(message.tool_call_id)
        elif isinstance(message, AIMessage):
            return [call for call in message.tool_calls if call["id"] not in answered]
    return []
