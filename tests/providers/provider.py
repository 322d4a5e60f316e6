"""A model server that refuses what a real provider refuses, in its words, and writes its replies in its own way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.openai_stub import OpenAIStub

Json = dict[str, Any]
Refusal = tuple[int, Any]
Rule = Callable[[Json], Refusal | None]
"""Looks at the body of a request and refuses it with a status and a body, or does not."""


@dataclass(frozen=True)
class Style:
    """How a provider writes a reply."""

    call_id: Callable[[int], str] = lambda n: f"call_{n:024d}"
    name: Callable[[str], str] = lambda name: name
    arguments: Callable[[Json], Any] = lambda arguments: json.dumps(arguments)
    call_extras: Mapping[str, Any] = field(default_factory=dict)
    message_extras: Mapping[str, Any] = field(default_factory=dict)
    finish: str | None = "tool_calls"
    """The finish reason of a reply with calls."""
    with_index: bool = True
    before_text: str = ""
    """Thoughts that the model writes into its text."""
    as_text: Callable[[str, Json], str] | None = None
    """How a call looks for a model that writes its calls into the text."""
    done: bool = True


class Provider(OpenAIStub):
    """The server of one provider: `rules` refuse, `style` writes what `say` was given."""

    def __init__(self, rules: Sequence[Rule] = (), style: Style | None = None) -> None:
        super().__init__()
        self._rules = list(rules)
        self._style = style or Style()
        self._calls = 0
        self.refusals: list[str] = []
        self.taken: list[tuple[int, Json]] = []
        """The bodies that no rule refused, each with the number of refusals before it."""

    def say(self, *replies: Json) -> None:
        """Put replies behind the script: `{"text": …}`, `{"tool": …, "args": …}`, `{"tools": […]}`, or a `status`."""
        self.add(*(reply if "status" in reply or "bytes" in reply else self._written(reply) for reply in replies))

    def _record(self, scope: Any, raw: bytes) -> tuple[Json, Json]:
        body: Json = json.loads(raw)
        for rule in self._rules:
            refusal = rule(body)
            if refusal is not None:
                self.refusals.append(json.dumps(refusal[1]))
                return body, {"status": refusal[0], "body": refusal[1]}
        self.taken.append((len(self.refusals), body))
        request, reply = super()._record(scope, raw)
        if "written" in reply:
            reply = _streamed(reply) if body.get("stream") else _plain(reply)
        return request, reply

    def _written(self, reply: Json) -> Json:
        style, calls = self._style, []
        text = style.before_text + reply.get("text", "")
        for call in reply.get("tools") or ([reply] if "tool" in reply else []):
            self._calls += 1
            if style.as_text is not None:
                text += style.as_text(call["tool"], call["args"])
                continue
            function = {"name": style.name(call["tool"]), "arguments": style.arguments(call["args"])}
            calls.append(
                {"id": style.call_id(self._calls), "type": "function", "function": function, **style.call_extras}
            )
        message = {"role": "assistant", "content": text or None, **style.message_extras}
        if calls:
            message["tool_calls"] = calls
        finish = reply.get("finish", style.finish if calls else "stop")
        return {"written": message, "finish": finish, "with_index": style.with_index, "done": style.done}


def _streamed(reply: Json) -> Json:
    message = dict(reply["written"])
    calls = message.pop("tool_calls", [])
    deltas = [message]
    for index, call in enumerate(calls):
        deltas.append({"tool_calls": [{"index": index, **call} if reply["with_index"] else call]})
    events: list[Json] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    if reply["finish"] is not None:
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reply["finish"]}]})
    events.append({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
    lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return {"bytes": lines + ("data: [DONE]\n\n" if reply["done"] else "")}


def _plain(reply: Json) -> Json:
    return {"raw": {"choices": [{"index": 0, "message": reply["written"], "finish_reason": reply["finish"]}]}}


# what many of them refuse


def openai_error(message: str, param: str | None = None, status: int = 400) -> Refusal:
    """An error in OpenAI's own shape."""
    return status, {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


def without(field_name: str, refusal: Refusal) -> Rule:
    """Refuse a field."""
    return lambda body: refusal if field_name in body else None


def calls_of(body: Json) -> list[Json]:
    """All calls in the history of a request."""
    return [call for message in body["messages"] for call in message.get("tool_calls") or []]


def paired_results(body: Json) -> Refusal | None:
    """Every call has its result right behind it, and every result its call."""
    waiting: list[str] = []
    for message in [*body["messages"], {"role": "end"}]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                return openai_error(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'."
                )
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            return openai_error(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {waiting[0]}"
            )
        waiting = [call["id"] for call in message.get("tool_calls") or []]
    return None


def strict_turns(refusal: Refusal, *, after_tool: bool = True) -> Rule:
    """User and assistant alternate; with `after_tool` no user message follows a result."""

    def rule(body: Json) -> Refusal | None:
        roles = [m["role"] for m in body["messages"] if m["role"] not in ("system", "developer")]
        pairs = list(pairwise(roles))
        forbidden = [("user", "user"), ("assistant", "assistant"), *([("tool", "user")] if after_tool else [])]
        wrong = roles[:1] != ["user"] or any(pair in forbidden for pair in pairs)
        return refusal if wrong else None

    return rule


def whole_contents(refusal: Refusal) -> Rule:
    """No message without any content."""

    def rule(body: Json) -> Refusal | None:
        empty = any(not m.get("content") and not m.get("tool_calls") for m in body["messages"])
        return refusal if empty else None

    return rule


def changed_prefix(provider: Provider) -> str | None:
    """Name what a request changed of the one before it, but for its last message; None where it only went on.

    What a server has in its cache is the beginning that two requests share, byte for byte. A request after a refusal is
    written otherwise, once.
    """
    for (learnt, before), (refused, after) in pairwise(provider.taken):
        if learnt != refused:
            continue
        if json.dumps(before.get("tools")) != json.dumps(after.get("tools")):
            return "the declarations of the tools"
        kept = before["messages"][:-1]
        for number, (old, new) in enumerate(zip(kept, after["messages"], strict=False)):
            if json.dumps(old) != json.dumps(new):
                return f"message {number}: {old} became {new}"
        if len(after["messages"]) < len(kept):
            return "the length of the conversation"
    return None
