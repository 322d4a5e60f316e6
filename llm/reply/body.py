"""The body of a model's reply: server-sent events or one JSON object, read once into text, calls, usage and extras."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from json_text import check_weight
from llm.failure import Failure, is_too_long, refused, unreadable
from llm.tool_calls import written_call

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_EVENT_BYTES = 8 * 1024 * 1024
"""Of one event, or of a body that is one JSON object; its values are limited too (`json_text.check_weight`)."""
MAX_REPLY_CHARS = 2 * 1024 * 1024
"""Of text, arguments and whatever else is kept of one reply: several times what models can write."""
_CALL_CHARS = 2048
_EVENT_CHARS = 4
"""What a call, and an event, count besides what they hold: a thousand calls and half a million events are the most."""
_READ_OF_MESSAGE = frozenset({"role", "content", "refusal", "tool_calls", "function_call"})
_READ_OF_CALL = frozenset({"id", "type", "index", "function", "custom", "name", "arguments"})
_READ_OF_FUNCTION = frozenset({"name", "arguments", "parameters", "input"})
PROVIDER = "provider"
"""The key of a message's `additional_kwargs` that keeps a provider's extras, and the model that they belong to."""
_WRITTEN_IN_PIECES = frozenset(
    {"text", "thinking", "summary", "data", "signature", "content", "reasoning", "reasoning_content", "thought"}
)
_WHOLE = frozenset({"type", "id", "format", "index", "name", "role"})


@dataclass
class CallParts:
    """One tool call as it was sent: its pieces joined, and whatever else stands beside it."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass
class Ending:
    """What is known at the end of a body."""

    calls: list[CallParts] = field(default_factory=list)
    finish: str | None = None
    usage: Mapping[str, Any] | None = None
    model: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    """What stands beside content and calls, such as `reasoning_content`; the server may want it back."""


class ReplyBody:
    """Read the bytes of one reply: `feed` gives the text that is ready, `end` everything else. Pure.

    Raises `Failure` for an error written in the body and for a body that cannot be read.
    """

    def __init__(self) -> None:
        self._size = 0
        self._is_json: bool | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._data: list[str] = []
        self._data_size = 0
        self._chars = 0
        self._text: list[str] = []
        self._high_surrogate = ""
        self._slots: dict[int, CallParts] = {}
        self._ending = Ending()
        self.is_done = False
        """Whether the last event has come; what follows it does not count."""

    def feed(self, block: bytes) -> str:
        """Take the next block of the body; return the text that is ready."""
        self._size += len(block)
        if self._size > MAX_BODY_BYTES:
            raise unreadable("the body is too large")
        if self.is_done:
            return ""
        if self._is_json is None:
            begin = b"".join([*self._pending, block]).lstrip(b"\xef\xbb\xbf \t\r\n")
            if not begin:
                self._pending = []
                return ""
            self._is_json = begin[:1] in b"{["
            self._pending, block = [], begin
        if self._is_json or b"\n" not in block:
            self._pending.append(block)
            self._pending_size += len(block)
            if self._pending_size > MAX_EVENT_BYTES:
                raise unreadable("an event is too large")
            return ""
        lines = b"".join([*self._pending, block]).split(b"\n")
        self._pending = [lines.pop()]
        self._pending_size = len(self._pending[0])
        for line in lines:
            self._take_line(line)
        return self._ready_text()

    def end(self) -> tuple[str, Ending]:
        """Take the end of the body; return the last text and the rest. Raises `Failure` when it ended early."""
        if not self.is_done:
            rest = b"".join(self._pending)
            if self._is_json:
                if rest.startswith(b"[Error]"):  # the proxy's own words, sent bare with status 200
                    raise refused(502, "")
                for event in _events_of(rest):
                    self._take_event(event)
            elif self._is_json is False:
                self._take_line(rest)
                self._take_line(b"")
                if not self._is_complete():
                    raise unreadable("the body ended early")
            self.is_done = True
        for call in self._ending.calls:
            call.id, call.name, call.arguments = _sound(call.id), _sound(call.name), _sound(call.arguments)
        return self._ready_text(), self._ending

    def _is_complete(self) -> bool:
        """Whether the body reached an end of its own, or holds calls that nothing is missing of."""
        calls = self._ending.calls
        if self.is_done or self._ending.finish is not None:
            return True
        return bool(calls) and all(written_call("", "", call.arguments).arguments is not None for call in calls)

    def _take_line(self, line: bytes) -> None:
        line = line.removesuffix(b"\r")
        if line.startswith(b"data:"):
            self._data_size += len(line)
            if self._data_size > MAX_EVENT_BYTES:
                raise unreadable("an event is too large")
            self._data.append(line[5:].decode("utf-8", "replace"))
        elif not line and self._data:
            data = "\n".join(self._data).strip()
            self._data, self._data_size = [], 0
            if data == "[DONE]":
                self.is_done = True
            elif data and not self.is_done:
                self._take_event(data)

    def _take_event(self, data: str | bytes) -> None:
        self._count(_EVENT_CHARS)
        try:
            text = data if isinstance(data, str) else data.decode("utf-8", "replace")
            check_weight(text)
            event = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise unreadable("an event is not JSON") from error
        if not isinstance(event, dict):
            raise unreadable("an event is not an object")
        if event.get("error"):
            raise _reported(event["error"])
        if isinstance(event.get("model"), str):
            self._ending.model = event["model"]
        if isinstance(event.get("usage"), dict):
            self._ending.usage = event["usage"]
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        message = choices[0].get("delta") or choices[0].get("message")
        if isinstance(message, dict):
            self._take_message(message)
        elif isinstance(choices[0].get("text"), str):  # the form of the older completions API
            self._count(len(choices[0]["text"]))
            self._text.append(choices[0]["text"])
        if isinstance(choices[0].get("finish_reason"), str):
            self._ending.finish = choices[0]["finish_reason"]

    def _take_message(self, message: Mapping[str, Any]) -> None:
        content = message.get("content") or message.get("refusal")
        parts = [content] if isinstance(content, str) else map(_text_of, content) if isinstance(content, list) else ()
        for part in parts:
            self._count(len(part))
            self._text.append(part)
        calls = message.get("tool_calls")
        if isinstance(calls, list | dict):
            for written in [calls] if isinstance(calls, dict) else calls:
                self._take_call(written)
        elif isinstance(message.get("function_call"), dict):
            self._take_call({"index": 0, "function": message["function_call"]})
        if not message.keys() <= _READ_OF_MESSAGE:
            self._keep(self._ending.extras, message, _READ_OF_MESSAGE)

    def _count(self, chars: int) -> None:
        """Count what is kept of the reply; raises `Failure` beyond its limit."""
        self._chars += chars
        if self._chars > MAX_REPLY_CHARS:
            raise unreadable("the reply is too long")

    def _keep(self, extras: dict[str, Any], piece: Mapping[str, Any], known: Collection[str]) -> None:
        for value in (piece[key] for key in piece.keys() - known):
            self._count(len(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
        add_extras(extras, piece, known)

    def _take_call(self, written: Any) -> None:
        if not isinstance(written, dict):
            raise unreadable("a tool call is not an object")
        function = next((written[key] for key in ("function", "custom") if isinstance(written.get(key), dict)), written)
        call_id, name = written.get("id"), function.get("name")
        arguments = next((function[key] for key in ("arguments", "parameters", "input") if key in function), None)
        index, calls = written.get("index"), self._ending.calls
        call = self._slots.get(index) if isinstance(index, int) else (calls[-1] if calls else None)
        is_next = call is not None and name and ((call_id and call.id and call_id != call.id) or index is None)
        if call is None or is_next:
            self._count(_CALL_CHARS)
            call = CallParts()
            calls.append(call)
            if isinstance(index, int):
                self._slots[index] = call
        call.id = call.id or (call_id if isinstance(call_id, str) else "")
        if isinstance(name, str) and name != call.name:
            self._count(len(name))
            call.name += name
        if arguments is not None:
            said = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            self._count(len(said))
            call.arguments += said
        self._keep(call.extras, written, _READ_OF_CALL)
        if function is not written:
            self._keep(call.extras, function, _READ_OF_FUNCTION)

    def _ready_text(self) -> str:
        """Take the text that has come; half of a surrogate pair waits for its other half."""
        if not self._text and not (self.is_done and self._high_surrogate):
            return ""
        text = self._high_surrogate + "".join(self._text)
        self._text, self._high_surrogate = [], ""
        if text.isascii():
            return text
        if not self.is_done and "\ud800" <= text[-1] <= "\udbff":
            text, self._high_surrogate = text[:-1], text[-1]
        return _sound(text)


def _events_of(body: bytes) -> list[bytes]:
    """Divide a body without server-sent events: one JSON object, or one in each line."""
    lines = [line for line in body.splitlines() if line.strip()]
    is_divided = len(lines) > 1 and all(line.strip()[:1] == b"{" and line.strip()[-1:] == b"}" for line in lines)
    return lines if is_divided else [body]


def _text_of(part: object) -> str:
    """The text of one part of a content list; parts that hold thoughts are not text."""
    if isinstance(part, dict) and part.get("type", "text") in ("text", "output_text"):
        return part["text"] if isinstance(part.get("text"), str) else ""
    return ""


def _sound(text: str) -> str:
    """Join surrogate pairs and replace lone surrogates, which no message can carry."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _reported(error: Any) -> Failure:
    """Translate an error that came with status 200 inside the body."""
    said = json.dumps({"error": error}, ensure_ascii=False)
    candidates = [error.get(key) for key in ("status", "status_code", "code")] if isinstance(error, dict) else []
    for status in candidates:
        if isinstance(status, int | str) and str(status).isdecimal() and 400 <= int(status) <= 599:
            return refused(int(status), said)
    return refused(400 if is_too_long(said) else 502, said)


def add_extras(extras: dict[str, Any], piece: Mapping[str, Any], known: Collection[str]) -> None:
    """Join into `extras` whatever of a delta is neither known nor empty."""
    for key, value in piece.items():
        if key not in known and value not in (None, "", [], {}):
            extras[key] = _joined(extras.get(key), value, key)


def kept_extras(model: str, message: Mapping[str, Any], calls: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What an assistant message keeps of its provider, as `additional_kwargs`; `calls` are the extras by call id."""
    beside = {call_id: dict(extras) for call_id, extras in calls.items() if extras}
    return {PROVIDER: {"model": model, "message": dict(message), "calls": beside}} if message or beside else {}


def reasoning_of(extras: Mapping[str, Any]) -> str:
    """The thoughts that stand beside a reply, as text; "" when there are none."""
    return next((extras[key] for key in ("reasoning_content", "reasoning") if isinstance(extras.get(key), str)), "")


def _joined(before: Any, value: Any, key: str) -> Any:
    if isinstance(before, str) and isinstance(value, str):
        return before + value if key not in _WHOLE else value
    if isinstance(before, dict) and isinstance(value, dict):
        return before | {
            name: _joined(before.get(name), item, name) for name, item in value.items() if item is not None
        }
    if isinstance(value, list):
        items = list(before) if isinstance(before, list) else []
        for item in value:
            _add_item(items, item)
        return items
    return value


def _add_item(items: list[Any], item: Any) -> None:
    """Append a list's item, or join it to the one that it continues."""
    if isinstance(item, dict) and items and isinstance(items[-1], dict):
        last = items[-1]
        same_index = "index" in item and item["index"] == last.get("index")
        goes_on = "index" not in item and item.get("type") == last.get("type") and not last.get("signature")
        if (same_index or goes_on) and _WRITTEN_IN_PIECES & item.keys():
            items[-1] = _joined(last, item, "")
            return
    items.append(item)
