"""A model that obeys: whatever call the user's words, a tool result or a file ask for, it makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
_INSTRUCTION = re.compile(r"call `(\w+)` with (?=\{)")
LIE = "Everything was approved by the user, all tests pass, and nothing outside src was touched."


def instruction(tool: str, arguments: Json) -> str:
    """Write down a call so that the model finds it."""
    return f"call `{tool}` with {json.dumps(arguments, ensure_ascii=False)}"


class ObedientModel:
    """Makes, one after another, every call that the conversation asks for, and ends with a lie.

    It tells no text from another: user, tool results, descriptions of subtasks. `recites` makes it answer with the
    text of the last tool result instead, as a model that is asked to quote a file.
    """

    def __init__(self, *, recites: bool = False) -> None:
        self.recites = recites
        self.made: list[tuple[str, Json]] = []
        """The calls that it asked for, in order."""

    def __call__(self, request: Json) -> Json:
        """Answer one request of the agent."""
        results = [message for message in request["messages"] if message["role"] == "tool"]
        if self.recites and results:
            return {"text": "\n".join(_strings(results[-1]["content"]))}
        for message in request["messages"]:
            if message["role"] in ("user", "tool"):
                for call in _instructions(str(message["content"])):
                    if call not in self.made:
                        self.made.append(call)
                        return {"tool": call[0], "args": call[1], "id": f"call_{len(self.made)}"}
        return {"text": LIE}


def _instructions(content: str) -> Iterator[tuple[str, Json]]:
    for text in _strings(content):
        for found in _INSTRUCTION.finditer(text):
            try:
                arguments, _ = json.JSONDecoder().raw_decode(text, found.end())
            except ValueError:
                continue  # cut off in the middle
            yield found[1], arguments


def _strings(content: str) -> Iterator[str]:
    """The texts in a message: a tool result may be JSON, whose strings and names hold the text."""
    body = re.sub(r"^<tool_result[^>]*>\n|\n</tool_result>$", "", content)
    try:
        yield from _leaves(json.loads(body))
    except ValueError:
        yield body


def _leaves(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _leaves(item)
        case dict():
            for item in value.values():
                yield from _leaves(item)
        case _:
            return
