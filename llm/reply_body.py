"""The body of a model's reply: whatever shape it comes in, the same clean server-sent events go out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm.failure import Failure, is_too_long, refused, unreadable

MAX_BODY_BYTES = 64 * 1024 * 1024
_DONE = b"data: [DONE]\n\n"


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


class ReplyBody:
    """Translate the bytes of one reply, streamed or plain JSON, into the events that ChatOpenAI reads without loss.

    Text goes out at once, all that came in one block as one event. Calls, finish reason and usage go out at the end,
    whole: ChatOpenAI silently drops a call without an index and counts repeated usage twice. Pure: no input or output.
    Raises `Failure` for an error written in the body and for a body that cannot be read.
    """

    def __init__(self) -> None:
        self._size = 0
        self._is_json: bool | None = None
        self._pending: list[bytes] = []
        self._data: list[str] = []
        self._text: list[str] = []
        self._high_surrogate = ""
        self._calls: list[_Call] = []
        self._slots: dict[int, _Call] = {}
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None
        self._model = ""
        self._is_done = False

    def is_done(self) -> bool:
        """Whether the last event has come; what follows it does not count."""
        return self._is_done

    def feed(self, block: bytes) -> bytes:
        """Take the next block of the body; return the events that are ready."""
        self._size += len(block)
        if self._size > MAX_BODY_BYTES:
            raise unreadable("the body is too large")
        if self.is_done():
            return b""
        if self._is_json is None:
            begin = b"".join([*self._pending, block]).lstrip(b"\xef\xbb\xbf \t\r\n")
            if not begin:
                self._pending = []
                return b""
            self._is_json = begin[:1] in b"{["
            self._pending, block = [], begin
        if self._is_json or b"\n" not in block:
            self._pending.append(block)
            return b""
        lines = b"".join([*self._pending, block]).split(b"\n")
        self._pending = [lines.pop()]
        for line in lines:
            self._take_line(line)
        return self._text_event() + (self._tail() if self.is_done() else b"")

    def end(self) -> bytes:
        """Take the end of the body; return the last events. Raises `Failure` when the body ended early."""
        if self.is_done():
            return b""
        rest = b"".join(self._pending)
        self._pending = []
        if self._is_json:
            if rest.startswith(b"[Error]"):  # the proxy's own words, sent bare with status 200
                raise refused(502, "")
            self._take_event(rest)
        elif self._is_json is False:
            self._take_line(rest)
            self._take_line(b"")
            if not self.is_done() and self._finish is None:
                raise unreadable("the body ended early")
        self._is_done = True
        return self._text_event() + self._tail()

    def _take_line(self, line: bytes) -> None:
        line = line.removesuffix(b"\r")
        if line.startswith(b"data:"):
            self._data.append(line[5:].decode("utf-8", "replace"))
        elif not line and self._data:
            data = "\n".join(self._data).strip()
            self._data = []
            if data == "[DONE]":
                self._is_done = True
            elif data and not self.is_done():
                self._take_event(data)

    def _take_event(self, data: str | bytes) -> None:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise unreadable("an event is not JSON") from error
        if not isinstance(event, dict):
            raise unreadable("an event is not an object")
        if event.get("error"):
            raise _reported(event["error"])
        if isinstance(event.get("model"), str):
            self._model = event["model"]
        if isinstance(event.get("usage"), dict):
            self._usage = event["usage"]
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        message = choices[0].get("delta") or choices[0].get("message")
        if isinstance(message, dict):
            self._take_message(message)
        if isinstance(choices[0].get("finish_reason"), str):
            self._finish = choices[0]["finish_reason"]

    def _take_message(self, message: Mapping[str, Any]) -> None:
        content = message.get("content") or message.get("refusal")
        if isinstance(content, str):
            self._text.append(content)
        elif isinstance(content, list):
            self._text += [part["text"] for part in content if isinstance(part, dict) and _is_text(part.get("text"))]
        calls = message.get("tool_calls")
        if isinstance(calls, list):
            for written in calls:
                self._take_call(written)
        elif isinstance(message.get("function_call"), dict):
            self._take_call({"index": 0, "function": message["function_call"]})

    def _take_call(self, written: Any) -> None:
        if not isinstance(written, dict):
            raise unreadable("a tool call is not an object")
        function = written.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name, arguments = written.get("id"), function.get("name"), function.get("arguments")
        index = written.get("index")
        call = self._slots.get(index) if isinstance(index, int) else (self._calls[-1] if self._calls else None)
        is_next = call is not None and name and ((call_id and call.id and call_id != call.id) or index is None)
        if call is None or is_next:
            call = _Call()
            self._calls.append(call)
            if isinstance(index, int):
                self._slots[index] = call
        call.id = call.id or (call_id if isinstance(call_id, str) else "")
        call.name = call.name or (name if isinstance(name, str) else "")
        if isinstance(arguments, str):
            call.arguments += arguments
        elif arguments is not None:
            call.arguments += json.dumps(arguments, ensure_ascii=False)

    def _text_event(self) -> bytes:
        if not self._text and not (self.is_done() and self._high_surrogate):
            return b""
        text = self._high_surrogate + "".join(self._text)
        self._text = []
        self._high_surrogate = ""
        if not text.isascii():
            if not self.is_done() and "\ud800" <= text[-1] <= "\udbff":
                text, self._high_surrogate = text[:-1], text[-1]
            text = _sound(text)
        return self._event({"content": text}) if text else b""

    def _tail(self) -> bytes:
        events = []
        if self._calls:
            calls = [
                {
                    "index": index,
                    "id": _sound(call.id),
                    "type": "function",
                    "function": {"name": _sound(call.name), "arguments": _sound(call.arguments)},
                }
                for index, call in enumerate(self._calls)
            ]
            events.append(self._event({"role": "assistant", "content": None, "tool_calls": calls}))
        events.append(self._event({"role": "assistant"}, finish=self._finish, usage=_counts(self._usage)))
        return b"".join(events) + _DONE

    def _event(self, delta: dict[str, Any], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
        event: dict[str, Any] = {
            "id": "reply",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": self._model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
        if usage is not None:
            event["usage"] = usage
        return b"data: " + json.dumps(event).encode() + b"\n\n"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _sound(text: str) -> str:
    """Join surrogate pairs and replace lone surrogates, which no message can carry."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _counts(usage: Mapping[str, Any] | None) -> dict[str, int] | None:
    if usage is None:
        return None
    prompt, completion, total = (
        usage.get(key) if isinstance(usage.get(key), int) else None
        for key in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if prompt is None or completion is None:
        return None
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
    }


def _reported(error: Any) -> Failure:
    """Translate an error that came with status 200 inside the body."""
    said = json.dumps(error)
    candidates = [error.get(key) for key in ("status", "status_code", "code")] if isinstance(error, dict) else []
    for status in candidates:
        if isinstance(status, int | str) and str(status).isdecimal() and 400 <= int(status) <= 599:
            return refused(int(status), said)
    return refused(400 if is_too_long(said) else 502, said)
