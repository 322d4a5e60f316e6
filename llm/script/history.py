"""A conversation as the scripted model reads it: checked, and cut to the turn that is being answered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

_SIGNS: tuple[tuple[tuple[str, ...], Literal["failed", "rejected", "denied", "not_run"]], ...] = (
    (("The user rejected this call", "The user did not agree"), "rejected"),
    (
        (
            "Nobody approved this call in time",
            "The user sent a new message before",
            "The user cancelled the run",
            "One tool call at a time",
            "The turn ended before",
        ),
        "not_run",
    ),
    (
        (
            "Tool '",
            "Path '",
            "Command is not allowed",
            "Architect agent can only",
            "Debug agent cannot",
            "Ask agent cannot",
            "Too many switches",
        ),
        "denied",
    ),
    (("Error:", "The arguments of this call", "You made this same call", "The plan is not valid"), "failed"),
)
_EDITED = "The user changed the arguments to "
_WRAPPED = re.compile(r'<tool_result tool="[^"]*">\n(.*)\n</tool_result>', re.DOTALL)
_ANSWERED_BY_USER = ("ask_followup_question", "switch_mode")


class HistoryBroken(AssertionError):
    """A conversation breaks the rule that every tool call has exactly one answer before the next message."""


def check_history(messages: Sequence[BaseMessage]) -> None:
    """Raise HistoryBroken, naming the ids, unless every tool call is answered once and at once, and nothing else is."""
    open_calls: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in open_calls:
                raise HistoryBroken(f"a tool message answers no open call: {message.tool_call_id}")
            open_calls.remove(message.tool_call_id)
            continue
        if open_calls:
            raise HistoryBroken(f"tool calls without an answer before the next {message.type} message: {open_calls}")
        if isinstance(message, AIMessage):
            open_calls = [str(call["id"]) for call in [*message.tool_calls, *message.invalid_tool_calls]]
            if len(set(open_calls)) != len(open_calls):
                raise HistoryBroken(f"one message makes two calls with the same id: {open_calls}")
    if open_calls:
        raise HistoryBroken(f"tool calls without an answer at the end: {open_calls}")


@dataclass(frozen=True)
class Outcome:
    """A tool call that was made, and what came of it."""

    tool: str
    arguments: Mapping[str, Any]
    result: str
    """The tool message, without the wrapping that marks it as data."""

    @property
    def kind(self) -> Literal["done", "failed", "rejected", "denied", "not_run"]:
        """What happened, read from the tool message (protocol sections 4 and 5)."""
        for starts, kind in _SIGNS:
            if self.result.startswith(starts):
                return kind
        value = self.value
        if isinstance(value, Mapping) and (value.get("success") is False or value.get("error")):
            return "failed"
        return "done"

    @property
    def value(self) -> Any:
        """The result as JSON, or as the text that it is."""
        text = self.result
        if text.startswith(_EDITED):
            text = text.partition(" before running.")[2].lstrip()
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    @property
    def reason(self) -> str:
        """Why it did not work, in the words of the tool message."""
        value = self.value
        if isinstance(value, Mapping):
            return str(value.get("error") or value.get("message") or self.result)
        return self.result.removeprefix("Error:").strip()


@dataclass(frozen=True)
class Turn:
    """What the user wants now, and what was already done about it."""

    request: str
    answers: tuple[tuple[str, str], ...]
    """The user's replies within the turn: (tool that asked, text)."""
    outcomes: tuple[Outcome, ...]
    replies: int
    """How many assistant messages the turn has already."""


def read_turn(messages: Sequence[BaseMessage]) -> Turn:
    """Find the message that opened the turn: the last one of the user that does not answer a question."""
    start, answers = len(messages), []
    for index in range(len(messages) - 1, -1, -1):
        if not isinstance(messages[index], HumanMessage) or messages[index].additional_kwargs.get("nudge"):
            continue
        start = index
        asked_by = _asked_by(messages, index)
        if asked_by is None:
            break
        answers.append((asked_by, str(messages[index].text)))
    else:
        answers = answers[:-1]  # the window begins inside the turn: its oldest message is all there is
    since = messages[start + 1 :]
    return Turn(
        request=str(messages[start].text) if start < len(messages) else "",
        answers=tuple(reversed(answers)),
        outcomes=tuple(outcomes_of(since)),
        replies=sum(isinstance(message, AIMessage) for message in since),
    )


def outcomes_of(messages: Sequence[BaseMessage]) -> list[Outcome]:
    """List the calls that `messages` hold, each with its answer, in the order of the answers."""
    found: list[Outcome] = []
    calls: dict[str, tuple[str, Any]] = {}
    for message in messages:
        if isinstance(message, AIMessage):
            written = [*message.tool_calls, *message.invalid_tool_calls]
            calls = {str(call["id"]): (str(call["name"]), call["args"]) for call in written}
        elif isinstance(message, ToolMessage) and message.tool_call_id in calls:
            name, arguments = calls[message.tool_call_id]
            found.append(Outcome(name, arguments if isinstance(arguments, Mapping) else {}, _unwrapped(message)))
    return found


def _asked_by(messages: Sequence[BaseMessage], index: int) -> str | None:
    """Name the tool whose question the user's message at `index` answers."""
    before = outcomes_of(messages[max(0, index - 8) : index])
    if not before or not isinstance(messages[index - 1], ToolMessage) or before[-1].tool not in _ANSWERED_BY_USER:
        return None
    return before[-1].tool if before[-1].kind in {"done", "rejected"} else None  # else the question was closed


def _unwrapped(message: ToolMessage) -> str:
    text = str(message.text)
    wrapped = _WRAPPED.fullmatch(text)
    return wrapped.group(1).replace("<\\/tool_result", "</tool_result") if wrapped else text
