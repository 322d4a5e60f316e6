"""What was said and done in one task, for people who want to know why it failed."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from json_text import storable

MAX_RESULT_CHARS = 2000
_FENCE = "````"


def transcript(messages: Sequence[BaseMessage]) -> str:
    """Return a conversation as Markdown: requests, replies with their calls, results."""
    return "\n\n".join(_written(message) for message in messages)


def _written(message: BaseMessage) -> str:
    text = str(storable(str(message.text)))
    if isinstance(message, ToolMessage):
        cut = text[:MAX_RESULT_CHARS] + ("…" if len(text) > MAX_RESULT_CHARS else "")
        return f"**Result of {message.name}**\n{_FENCE}\n{cut}\n{_FENCE}"
    if isinstance(message, AIMessage):
        calls = [f"- `{call['name']}` `{call['args']}`" for call in message.tool_calls]
        return "\n".join([f"**{message.name or 'agent'}:** {text}".rstrip(), *calls])
    return f"**User:** {text}"
