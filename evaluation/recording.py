"""A model's replies in a file: recorded once from a live model, then replayed without one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from errors import ConfigurationError, ModelBadReply, ModelUnavailable
from evaluation.output import open_unlinked
from llm.streaming import Reply, Usage
from llm.tool_calls import written_call

_CALLS = ("calls", "cut_calls")


class Recording:
    """Replaces an `llm.chat_model.Models`: calls `live` and records its replies, or replays the file.

    With both, `resumed`, only the requests that the file does not hold are sent, and their replies added to it.

    The key of a request is its messages, the offered tools and its options: a changed prompt needs a new recording.
    """

    def __init__(self, path: Path, live: Any | None = None, *, resumed: bool = False) -> None:
        self._path = path
        self._live = live
        self._replies: dict[str, list[dict[str, Any] | None]] = {}
        self.name = str(live.name) if live is not None else "recording"
        """The configured name of the model that was or is asked: prompts and the reading of calls depend on it."""
        if live is None or (resumed and path.exists()):
            for row in _rows(path):
                self._replies.setdefault(row["key"], []).append(row["reply"])
                self.name = row["asked"] if live is None else self.name

    async def reply(self, messages: Sequence[BaseMessage], *, tools: Sequence[Any] = (), **wishes: Any) -> Reply:
        """Return a reply, as `Models.reply` does."""
        key = _key(messages, tools, wishes)
        waiting = self._replies.get(key)
        if self._live is not None and not waiting:
            try:
                reply: Reply = await self._live.reply(messages, tools=tools, **wishes)
            except ModelBadReply:
                self._write(key, None)
                raise
            self._write(key, reply)
            return reply
        if not waiting:
            raise ModelUnavailable("The recording holds no reply to this request; record it again.")
        row = waiting[0] if len(waiting) == 1 else waiting.pop(0)
        if row is None:
            raise ModelBadReply
        reply = _read(row)
        on_text = wishes.get("on_text")
        if on_text is not None and reply.text:
            on_text(reply.text)
        return reply

    def _write(self, key: str, reply: Reply | None) -> None:
        """Append one reply; None stands for one that could not be read."""
        written = None if reply is None else dataclasses.asdict(reply)
        if reply is not None and written is not None:
            written |= {name: [[c.id, c.name, c.raw] for c in getattr(reply, name)] for name in _CALLS}
        with open_unlinked(self._path, "a") as file:
            row = {"asked": self.name, "key": key, "reply": written}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _rows(path: Path) -> list[dict[str, Any]]:
    """Read a recording; raises ConfigurationError naming the file, or the line that is no reply."""
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The recording {path} cannot be read: correct --replay or --record.") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {"asked", "key", "reply"} <= row.keys():
            raise ConfigurationError(f"{path}, line {number} is no recorded reply: remove the line.")
        rows.append(row)
    return rows


def _key(messages: Sequence[BaseMessage], tools: Sequence[Any], wishes: dict[str, Any]) -> str:
    """Hash what the model reads, without the ids that change with each run."""
    said: list[Any] = [
        [m.type, m.content, [[c["name"], c["args"]] for c in m.tool_calls] if isinstance(m, AIMessage) else []]
        for m in messages
    ]
    asked = [wishes.get("tool_choice"), wishes.get("temperature"), sorted(tool.name for tool in tools)]
    return hashlib.sha256(json.dumps([said, asked], sort_keys=True).encode()).hexdigest()[:24]


def _read(row: dict[str, Any]) -> Reply:
    usage = Usage(**row["usage"]) if row["usage"] else None
    calls = {name: tuple(written_call(*call) for call in row[name]) for name in _CALLS}
    return Reply(**{**row, "usage": usage, **calls})
