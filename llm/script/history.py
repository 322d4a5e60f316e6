"""A conversation as the scripted model reads it: checked, and cut to the turn that is being answered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from tools.catalog import BY_NAME

_EDITED = "The user changed the arguments to "
_WRAPPED = re.compile(r'<tool_result tool="[^"]*">\n(.*)\n</tool_result>', re.DOTALL)
_ANSWERED_BY_USER = ("ask_followup_question", "switch_mode")
_SWITCHED = ("Switched to ", "You are the ")


class HistoryBroken(AssertionError):
    """A conversation breaks the rule that every tool call has exactly one answer before the next message."""


def check_history(messages: Sequence[BaseMessage]) -> None:
    """Raise HistoryBroken, naming the ids, unless every tool call is answered once and at once, and nothing else is."""
    unanswered: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage) and message.tool_call_id in unanswered:
            unanswered.remove(message.tool_call_id)
        elif isinstance(message, ToolMessage):
            raise HistoryBroken(f"a tool message answers no open call: {message.tool_call_id}")
        elif unanswered:
            break
        elif isinstance(message, AIMessage):
            unanswered = [str(call["id"]) for call in _calls_of(message)]
            if len(set(unanswered)) != len(unanswered):
                raise HistoryBroken(f"one message makes two calls with the same id: {unanswered}")
    if unanswered:
        raise HistoryBroken(f"tool calls without an answer before the next message: {unanswered}")


def _calls_of(message: AIMessage) -> list[Mapping[str, Any]]:
    return [*message.tool_calls, *message.invalid_tool_calls]


@dataclass(frozen=True)
class Outcome:
    """A tool call and its result."""

    tool: str
    arguments: Mapping[str, Any]
    result: str
    """The tool message, without the wrapping that marks it as data."""
    is_data: bool
    """Whether the client sent the result; otherwise the runtime wrote the message."""

    @property
    def worked(self) -> bool:
        """Whether the tool ran and its result reports no failure; a command that ended by itself has not failed."""
        if self.tool == "switch_mode":
            return self.result.startswith(_SWITCHED)
        value = self.value if isinstance(self.value, Mapping) else {}
        failed = value.get("success") is False or bool(value.get("error"))
        has_ended = isinstance(value.get("exit_code"), int)
        runs_in_client = self.tool not in BY_NAME or BY_NAME[self.tool].runs == "client"
        has_run = (self.is_data or not runs_in_client) and not self.result.startswith("Error:")
        return has_run and (has_ended or not failed)

    @property
    def refusal(self) -> str:
        """The message of the runtime or the user instead of a result; empty where the client answered."""
        return "" if self.is_data else self.result

    @property
    def was_edited(self) -> bool:
        """Whether the user changed the arguments."""
        return self.result.startswith(_EDITED)

    @property
    def value(self) -> Any:
        """The result as JSON, or as text."""
        text = self.result.partition(" before running.")[2].lstrip() if self.was_edited else self.result
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    @property
    def reason(self) -> str:
        """The reason of a failure, from the tool message."""
        value = self.value
        if isinstance(value, Mapping):
            return str(value.get("error") or value.get("message") or self.result)
        return self.result.removeprefix("Error:").strip()


@dataclass(frozen=True)
class Turn:
    """The request of the user and the calls that were already made for it."""

    request: str
    outcomes: tuple[Outcome, ...]
    replies: int
    """How many assistant messages the turn has already."""


def read_turn(messages: Sequence[BaseMessage]) -> Turn:
    """Find the message that opened the turn: the last one of the user that does not answer a question."""
    asked = [
        index
        for index, message in enumerate(messages)
        if isinstance(message, HumanMessage) and not message.additional_kwargs.get("reprompt")
    ]
    opening = [index for index in asked if not _answers_a_question(messages, index)]
    start = (opening or asked or [len(messages)])[-1]
    since = messages[start + 1 :]
    return Turn(
        request=str(messages[start].text) if start < len(messages) else "",
        outcomes=tuple(_outcomes(since)),
        replies=sum(isinstance(message, AIMessage) for message in since),
    )


def _outcomes(messages: Sequence[BaseMessage]) -> list[Outcome]:
    """List the calls that `messages` hold, each with its answer, in the order of the answers."""
    found: list[Outcome] = []
    calls: dict[str, tuple[str, Any]] = {}
    for message in messages:
        if isinstance(message, AIMessage):
            calls = {str(call["id"]): (str(call["name"]), call["args"]) for call in _calls_of(message)}
        elif isinstance(message, ToolMessage) and message.tool_call_id in calls:
            name, arguments = calls[message.tool_call_id]
            text = str(message.text)
            wrapped = _WRAPPED.fullmatch(text)
            text = wrapped.group(1).replace("<\\/tool_result", "</tool_result") if wrapped else text
            found.append(Outcome(name, arguments if isinstance(arguments, Mapping) else {}, text, bool(wrapped)))
    return found


def _answers_a_question(messages: Sequence[BaseMessage], index: int) -> bool:
    """Whether the user's message at `index` answers a question or a switch that waited for the user."""
    before = _outcomes(messages[max(0, index - 8) : index])
    if not before or not isinstance(messages[index - 1], ToolMessage) or before[-1].tool not in _ANSWERED_BY_USER:
        return False
    text = before[-1].result  # a question that was closed without an answer says so instead
    return text.startswith(("{", *_SWITCHED, "The user did not agree"))
