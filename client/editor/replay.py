"""A conversation of an earlier day, as the updates with which an editor shows it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from acp.schema import (
    TextContentBlock,
    ToolCallProgress,
    ToolCallStart,
    UserMessageChunk,
)

from client.editor.calls import CallPicture, arguments_of, text_part
from client.editor.updates import Transcript, Update
from client.workspace.folder import Workspace
from policy.verdicts.display import escape_display
from tools.catalog import BY_NAME
from wire.protocol import Chunk

MAX_RESULT_CHARS = 20_000
_SPOKEN = {"attempt_completion": "result", "ask_followup_question": "question", "create_plan": "title"}
"""The argument of a tool of the runtime that is meant for the user."""
_FAILURES = ("Error: ", "The user rejected this call")


def replay(history: dict[str, Any], workspace: Workspace, transcript: Transcript) -> Iterator[Update]:
    """Yield the updates of the reply of `GET /sessions/{id}/history`.

    The diffs of old writes are left out: the files have changed since. Tools of the runtime itself (a question, a
    plan) are their text alone.
    """
    shown: set[str] = set()
    for number, message in enumerate(history.get("messages") or ()):
        if not isinstance(message, dict):
            continue
        content = str(message.get("content") or "")
        if message.get("role") == "user":
            yield UserMessageChunk(
                session_update="user_message_chunk",
                content=TextContentBlock(type="text", text=content),
                message_id=f"history-{number}",
            )
        elif message.get("role") == "assistant":
            if content:
                yield transcript.answer(content)
            for call in message.get("tool_calls") or ():
                update = _call(call, workspace, transcript)
                if isinstance(update, ToolCallStart):
                    shown.add(update.tool_call_id)
                if update is not None:
                    yield update
        elif str(message.get("tool_call_id")) in shown:
            yield _result(message, content)


def _call(call: Any, workspace: Workspace, transcript: Transcript) -> Update | None:
    """Show a call of the client as a call, and what the runtime's own tools say as a message."""
    if not isinstance(call, dict):
        return None
    name, arguments = arguments_of(call)
    if name in BY_NAME and BY_NAME[name].runs != "client":
        said = str(arguments.get(_SPOKEN.get(name, ""), "") or "")
        return transcript.answer(said) if said else None
    chunk = Chunk(type="tool_call", call_id=str(call.get("id")), tool_name=name)
    return CallPicture(chunk, arguments, workspace, compares=False).started("pending")


def _result(message: dict[str, Any], content: str) -> ToolCallProgress:
    cut = content[:MAX_RESULT_CHARS]
    failed = content.startswith(_FAILURES)
    return ToolCallProgress(
        session_update="tool_call_update",
        tool_call_id=str(message["tool_call_id"]),
        status="failed" if failed else "completed",
        content=[text_part(escape_display(cut))],
        raw_output=cut,
    )
