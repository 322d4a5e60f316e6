"""The body of a model's reply: server-sent events or one JSON object, read once into text, calls, usage and extras."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from errors import ModelBadReply
from json_text import check_weight, parse_json
from llm.failure import Failure, is_too_long, message_in, reason_in, refused, unreadable
from llm.reply.calls import CallParts, CallPieces
from llm.tool_calls import written_call

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_EVENT_BYTES = 8 * 1024 * 1024
"""Of one event, or of a body that is one JSON object; its values are limited too (`json_text.check_weight`)."""
MAX_REPLY_CHARS = 2 * 1024 * 1024
"""Of text, arguments and whatever else is kept of one reply: several times what models can write."""
_EVENT_CHARS = 4
"""What an event counts besides what it holds: half a million are the most."""
_MAX_STRAY_CHARS = 2048
_WEB_PAGE = "The configured address of the language model answers with a web page instead of a reply."
_WORDS = re.compile(r"\A[^\ufffd\x00-\x08]*[^\W\d_]{2}[^\ufffd\x00-\x08]*\Z")
_FIELD = re.compile(rb"(?:event|id|retry)?:|(?:event|id|retry)\Z")
"""How the lines of server-sent events begin that hold no data."""
_READ_OF_MESSAGE = frozenset({"role", "content", "refusal", "tool_calls", "function_call"})
_CALLS = frozenset({"tool_use", "tool_call", "function_call"})
"""The kinds of parts of a content list that are calls."""
PROVIDER = "provider"
"""The key of a message's `additional_kwargs` that keeps a provider's extras, and the model that they belong to."""
_WRITTEN_IN_PIECES = frozenset(
    {"text", "thinking", "summary", "data", "signature", "content", "reasoning", "reasoning_content", "thought"}
)
_WHOLE = frozenset({"type", "id", "format", "index", "name", "role"})


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
        self._carriage_return = b""
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._data: list[str] = []
        self._data_size = 0
        self._is_error = False
        self._chars = 0
        self._text: list[str] = []
        self._high_surrogate = ""
        self._choice: int | None = None
        self._has_deltas = False
        self._has_text = False
        self._said: dict[str, Any] | str = ""
        """What came instead of a reply: an event without choices, or words that are no event."""
        self._ending = Ending()
        self._pieces = CallPieces(self._count, self._keep, self._ending.calls)
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
        if not self._is_json and (self._carriage_return or b"\r" in block):
            block = self._carriage_return + block
            self._carriage_return = block[-1:] if block.endswith(b"\r") else b""  # its line feed may come
            block = block.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
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
            is_cut = self._is_json is False and not self._is_complete()
            if self._said and (is_cut or not (self._has_text or self._ending.calls or self._ending.finish)):
                raise _stray(self._said) if isinstance(self._said, str) else _reported(self._said)
            if is_cut:
                raise unreadable("the body ended early")
            self.is_done = True
        for call in self._ending.calls:
            call.id, call.name, call.arguments = _sound(call.id), _sound(call.name), _sound(call.raw_arguments())
        return self._ready_text(), self._ending

    def _is_complete(self) -> bool:
        """Whether the body reached an end of its own, or holds calls that nothing is missing of."""
        calls = self._ending.calls
        if self.is_done or self._ending.finish is not None:
            return True
        return bool(calls) and all(written_call("", "", call.raw_arguments()).arguments is not None for call in calls)

    def _take_line(self, line: bytes) -> None:
        line = line.lstrip()
        if line[:5].lower() == b"data:":
            self._data_size += len(line)
            if self._data_size > MAX_EVENT_BYTES:
                raise unreadable("an event is too large")
            said = line[5:].decode("utf-8", "replace")
            if self._data and said.lstrip()[:1] in ("{", "[") and self._data[-1].rstrip().endswith("}"):
                self._close_event()  # a server that sets no blank line between its events
            self._data.append(said)
        elif not line:
            self._close_event()
        elif line.startswith(b"event:"):
            self._is_error = line[6:].strip().lower() == b"error"
        elif line.startswith(b"{"):
            self._close_event()
            self._take_event(line)
        elif not _FIELD.match(line):
            self._say(line.decode("utf-8", "replace"))

    def _close_event(self) -> None:
        """Read the event whose lines have come."""
        data, is_error = "\n".join(self._data).strip(), self._is_error
        self._data, self._data_size, self._is_error = [], 0, False
        while data.startswith("data:"):  # framed once more by a proxy
            data = data.removeprefix("data:").strip()
        if data.strip('[]"').upper() == "DONE":
            self.is_done = True
        elif not data or self.is_done:
            return
        elif is_error:
            raise _reported(_object_in(data) or data)
        elif data[0] in "{[":
            self._take_event(data)
        else:
            self._say(data)

    def _say(self, words: str) -> None:
        """Keep words that are no event: the reason, if nothing better comes."""
        if isinstance(self._said, str) and _WORDS.search(words) and len(self._said) < _MAX_STRAY_CHARS:
            self._said = f"{self._said} {words}".strip()[:_MAX_STRAY_CHARS]

    def _take_event(self, data: str | bytes) -> None:
        self._count(_EVENT_CHARS)
        try:
            text = data if isinstance(data, str) else data.decode("utf-8", "replace")
            check_weight(text)
            event = json.loads(text)
        except (ValueError, RecursionError) as error:
            if self._ending.finish is not None:
                return
            raise unreadable("an event is not JSON") from error
        if isinstance(event, list) and len(event) == 1:
            event = event[0]
        if not isinstance(event, dict):
            raise unreadable("an event is not an object")
        if event.get("error"):
            raise _reported(event)
        if isinstance(event.get("model"), str):
            self._ending.model = event["model"]
        choices = event.get("choices")
        choice = self._chosen(choices) if isinstance(choices, list) else None
        beside = event.get("x_groq")
        for holder in (event, choice, beside):
            if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
                self._ending.usage = holder["usage"]
        if choice is not None:
            self._take_choice(choice)
        elif not isinstance(choices, list) and message_in(event):
            self._said = event

    def _chosen(self, choices: list[Any]) -> dict[str, Any] | None:
        """The part of the one choice that is read: of the lowest number in the first event with choices."""
        found: dict[int | None, dict[str, Any]] = {}
        for choice in choices:
            if isinstance(choice, dict):
                index = choice.get("index")
                found.setdefault(index if isinstance(index, int) else None, choice)
        if self._choice is None:
            self._choice = min((index for index in found if index is not None), default=None)
        return found.get(self._choice) or found.get(None)

    def _take_choice(self, choice: Mapping[str, Any]) -> None:
        if choice.get("error"):
            raise _reported(choice)
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict) and delta:
            self._has_deltas = self._has_deltas or bool(delta.keys() & {"content", "tool_calls"})
            self._take_message(delta)
        elif isinstance(message, dict) and not self._has_deltas:  # behind deltas it is all of them once more
            self._take_message(message)
        elif isinstance(choice.get("text"), str):  # the form of the older completions API
            self._add_text(choice["text"])
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish.lower() not in ("", "null", "none"):
            self._ending.finish = finish

    def _take_message(self, message: Mapping[str, Any]) -> None:
        content = message.get("content") or message.get("refusal")
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, dict) and part.get("type") in _CALLS:
                self._pieces.take(part)
            elif part:
                self._add_text(_text_of(part))
        calls = message.get("tool_calls")
        if isinstance(calls, list | dict):
            for written in [calls] if isinstance(calls, dict) else calls:
                self._pieces.take(written)
        elif isinstance(message.get("function_call"), dict):
            self._pieces.take({"index": 0, "function": message["function_call"]})
        if not message.keys() <= _READ_OF_MESSAGE:
            self._keep(self._ending.extras, message, _READ_OF_MESSAGE)

    def _add_text(self, text: str) -> None:
        self._count(len(text))
        self._text.append(text)
        self._has_text = self._has_text or bool(text)

    def _count(self, chars: int) -> None:
        """Count what is kept of the reply; raises `Failure` beyond its limit."""
        self._chars += chars
        if self._chars > MAX_REPLY_CHARS:
            raise unreadable("the reply is too long")

    def _keep(self, extras: dict[str, Any], piece: Mapping[str, Any], known: Collection[str]) -> None:
        for value in (piece[key] for key in piece.keys() - known):
            self._count(len(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
        add_extras(extras, piece, known)

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


def _events_of(body: bytes) -> list[str | bytes]:
    """Divide a body that begins like JSON: one value, one in each line, or one before other lines of events."""
    begin, _, rest = body.partition(b"\ndata:")
    body = begin if rest.strip() == b"[DONE]" else body
    lines = [line for line in body.splitlines() if line.strip()]
    is_divided = len(lines) > 1 and all(line.strip()[:1] == b"{" and line.strip()[-1:] == b"}" for line in lines)
    return [*lines] if is_divided else [body]


def _object_in(data: str) -> dict[str, Any] | None:
    try:
        value = parse_json(data, any_integer=True)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text_of(part: object) -> str:
    """The text of a content, or of one part of a content list; parts that hold thoughts are not text."""
    if isinstance(part, dict) and part.get("type", "text") in ("text", "output_text"):
        part = part.get("text")
    return part if isinstance(part, str) else ""


def _sound(text: str) -> str:
    """Join surrogate pairs and replace lone surrogates, which no message can carry."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _reported(said: Mapping[str, Any] | str) -> Failure:
    """Translate an error that came with status 200."""
    words = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    inner = said.get("error") if isinstance(said, Mapping) else None
    holders = [holder for holder in (inner, said) if isinstance(holder, Mapping)]
    for status in (holder.get(key) for holder in holders for key in ("status", "status_code", "code")):
        if isinstance(status, int | str) and str(status).isdecimal() and 400 <= int(status) <= 599:
            return refused(int(status), words)
    return refused(400 if is_too_long(words) else 502, words)


def _stray(words: str) -> Failure:
    """Translate words that came instead of a reply: what cannot be read, and perhaps the reason."""
    if is_too_long(words):
        return refused(400, words)
    reason = reason_in(words)
    sentence = _WEB_PAGE if words.startswith("<") else reason and f"The language model failed: {reason}"
    return Failure(ModelBadReply(sentence, reason=words), again=True)


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
