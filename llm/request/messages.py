"""The messages of a request in the strictest form that servers ask for; the thread keeps what was really said."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

MAX_ID_CHARS = 40
NO_OUTPUT = "(no output)"
NO_RESULT = "The result of this call is not known."
STOPPED = "(stopped here)"
GO_ON = "Go on."
_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_ID_CHARS}}}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SAID_BY_CALL = {"attempt_completion": "result", "ask_followup_question": "question"}


def normalised(messages: Iterable[Json]) -> list[Json]:
    """Rewrite messages so that every server can take them. Pure: the given ones stay as they are.

    No names; every call with exactly one result right behind it; ids of at most 40 plain characters; no empty message;
    user and assistant in strict turns, an assistant message between a result and the next request.
    """
    turns: list[Json] = []
    for message in _answered([{k: v for k, v in m.items() if k != "name"} for m in messages]):
        _append(turns, message)
    if not any(m["role"] == "user" for m in turns) or turns[-1]["role"] == "assistant":
        _append(turns, {"role": "user", "content": GO_ON})
    first = next((i for i, m in enumerate(turns) if m["role"] not in ("system", "developer")), 0)
    if turns[first]["role"] == "assistant":
        turns.insert(first, {"role": "user", "content": GO_ON})
    return turns


def _answered(messages: list[Json]) -> list[Json]:
    """Put behind every call its one result; drop results that answer nothing."""
    results = {m["tool_call_id"]: m for m in reversed(messages) if m["role"] == "tool"}
    ordered: list[Json] = []
    for message in messages:
        if message["role"] == "tool":
            continue
        calls = message.get("tool_calls")
        if not calls:
            ordered.append({k: v for k, v in message.items() if k != "tool_calls"})
            continue
        ordered.append({**message, "tool_calls": [_plain_call(call) for call in calls]})
        for call in calls:
            content = results[call["id"]]["content"] if call["id"] in results else NO_RESULT
            ordered.append({"role": "tool", "content": content or NO_OUTPUT, "tool_call_id": plain_id(call["id"])})
    return ordered


def _append(turns: list[Json], message: Json) -> None:
    last = turns[-1] if turns else None
    role = message["role"]
    if role in ("assistant", "user") and not message.get("content") and not message.get("tool_calls"):
        return
    if last is not None and role == "user" and last["role"] == "tool":
        turns.append({"role": "assistant", "content": _closing_words(turns)})
    elif last is not None and role == last["role"] and role in ("assistant", "user") and not last.get("tool_calls"):
        joined = "\n\n".join(str(m["content"]) for m in (last, message) if m.get("content"))
        turns[-1] = {**last, **message, "content": joined}
        return
    turns.append(message)


def _closing_words(turns: list[Json]) -> str:
    """What an assistant says between a result and the user's next message: its completion or its question."""
    calls: list[Json] = next((m["tool_calls"] for m in reversed(turns) if m.get("tool_calls")), [])
    for call in calls:
        key = _SAID_BY_CALL.get(call["function"]["name"])
        if key is not None:
            said = json.loads(call["function"]["arguments"]).get(key)
            if isinstance(said, str) and said.strip():
                return said.strip()
    return STOPPED


def _plain_call(call: Json) -> Json:
    name = call["function"]["name"]
    if not _NAME.fullmatch(name):
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64] or "unknown"
    return {**call, "id": plain_id(call["id"]), "function": {**call["function"], "name": name}}


def plain_id(call_id: str) -> str:
    """An id that every server takes, the same one for the same id in every request."""
    return call_id if _ID.fullmatch(call_id) else f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:24]}"


def short_id(call_id: str) -> str:
    """Nine letters and digits for an id, as Mistral's servers want them."""
    return call_id if re.fullmatch(r"[A-Za-z0-9]{9}", call_id) else hashlib.sha256(call_id.encode()).hexdigest()[:9]


def as_text(payload: Json) -> None:
    """Write a request for a server without a tool interface: declarations, calls and results become text."""
    tools = payload.pop("tools", [])
    payload.pop("tool_choice", None)
    payload.pop("parallel_tool_calls", None)
    messages: list[Json] = []
    for message in payload["messages"]:
        calls = message.get("tool_calls")
        if message["role"] == "tool":
            message = {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}
        elif calls:
            written = "\n".join(_call_text(call) for call in calls)
            content = f"{message['content']}\n{written}" if message.get("content") else written
            message = {"role": "assistant", "content": content}
        messages.append(message)
    if tools:
        listed = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
        messages.insert(1 if messages[0]["role"] in ("system", "developer") else 0, _how_to_call(listed))
    payload["messages"] = joined_system(normalised(messages))


def _call_text(call: Json) -> str:
    arguments = json.loads(call["function"]["arguments"])
    body = json.dumps({"name": call["function"]["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def _how_to_call(listed: str) -> Json:
    text = (
        "# Tools\nThis server has no tool interface. To call a tool, end your reply with one call in this form and "
        'write nothing behind it:\n<tool_call>\n{"name": "the tool", "arguments": {"its": "arguments"}}\n</tool_call>\n'
        f"The tools, one per line, with the JSON schema of their arguments:\n{listed}"
    )
    return {"role": "system", "content": text}


def joined_system(messages: list[Json]) -> list[Json]:
    """Make one system message of those that follow each other at the beginning."""
    count = next((i for i, m in enumerate(messages) if m["role"] not in ("system", "developer")), len(messages))
    if count < 2:
        return messages
    text = "\n\n".join(m["content"] for m in messages[:count])
    return [{"role": messages[0]["role"], "content": text}, *messages[count:]]


def without_system(payload: Json) -> None:
    """Put the system prompt before the first message of the user, for servers that know no system role."""
    system = [m for m in payload["messages"] if m["role"] in ("system", "developer")]
    rest = [m for m in payload["messages"] if m["role"] not in ("system", "developer")]
    text = "\n\n".join(str(m["content"]) for m in system)
    payload["messages"] = normalised([{"role": "user", "content": text}, *rest]) if text else rest


def one_call_each(payload: Json) -> None:
    """Write each call of a reply as a message of its own, for templates that allow one call per message."""
    messages: list[Json] = []
    waiting: list[Json] = []
    for message in payload["messages"]:
        if message["role"] == "tool" and waiting:
            messages += [waiting.pop(0), message]
            continue
        calls = message.get("tool_calls") or []
        if len(calls) > 1:
            heads = [message, *({"role": "assistant", "content": None} for _ in calls[1:])]
            waiting = [{**head, "tool_calls": [call]} for head, call in zip(heads, calls, strict=True)]
            continue
        messages.append(message)
    payload["messages"] = messages


def with_short_ids(payload: Json) -> None:
    """Shorten every call id to nine characters."""
    for message in payload["messages"]:
        for call in message.get("tool_calls") or []:
            call["id"] = short_id(call["id"])
        if message["role"] == "tool":
            message["tool_call_id"] = short_id(message["tool_call_id"])
