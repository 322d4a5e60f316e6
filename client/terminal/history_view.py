"""What was said before, when a session is taken up again."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from client.terminal.call_view import call_line
from client.terminal.text import entries, first_lines

RECENT_MESSAGES = 8
_MAX_LINES = 12
_MAX_CHARS = 1_000


def history_lines(history: dict[str, Any], last: int = RECENT_MESSAGES) -> RenderableType:
    """Show the last messages of the reply of `GET /sessions/{id}/history`; results of tools are left out."""
    messages = [message for message in entries(history.get("messages")) if message.get("role") in ("user", "assistant")]
    lines: list[RenderableType] = []
    if len(messages) > last:
        lines.append(Text(f"… {len(messages) - last} earlier messages (/history)", style="dim"))
    for message in messages[-last:]:
        if message.get("role") == "user":
            lines.append(Text("You: ", "bold green") + _text(message))
        elif message.get("content"):
            lines.append(_text(message))
        lines += [_call(call) for call in entries(message.get("tool_calls"))]
    return Group(*lines)


def _text(message: dict[str, Any]) -> Text:
    return first_lines(str(message.get("content") or ""), _MAX_LINES, _MAX_CHARS)


def _call(call: dict[str, Any]) -> Text:
    function = call.get("function")
    if not isinstance(function, dict):
        return Text("")
    try:
        arguments = json.loads(str(function.get("arguments")))
    except ValueError:
        arguments = {}
    return call_line(str(function.get("name")), arguments if isinstance(arguments, dict) else {})
