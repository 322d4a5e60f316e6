"""Short words for the tests that play the client."""

from __future__ import annotations

from typing import Any

import httpx

from tests.protocol.sse import post

Chunks = list[dict[str, Any]]


def say(client: httpx.Client, content: str, session: str = "s1", version: int = 2, **more: Any) -> Chunks:
    """Send a user message; the chunks of its answer."""
    return send(client, {"type": "user_message", "content": content, **more}, session, version)


def result(client: httpx.Client, call_id: str, value: Any = "ok", session: str = "s1", version: int = 2) -> Chunks:
    """Send the result of a call."""
    return send(client, {"type": "tool_result", "call_id": call_id, "result": value}, session, version)


def send(client: httpx.Client, message: dict[str, Any], session: str = "s1", version: int = 2) -> Chunks:
    """Send any message; it must be accepted."""
    body = {"session_id": session, "protocol_version": version, "message": message}
    response, chunks = post(client, body)
    assert response.status_code == 200, f"{response.status_code} {response.text}"
    return chunks


def of_type(chunks: Chunks, kind: str) -> Chunks:
    """The chunks of one type."""
    return [chunk for chunk in chunks if chunk["type"] == kind]


def answer_of(chunks: Chunks) -> str | None:
    """The full text of the last assistant message."""
    full = [c["content"] for c in of_type(chunks, "assistant_message") if c["is_final"]]
    return full[-1] if full else None


def error_of(chunks: Chunks) -> str | None:
    """The code of the error chunk, if there is one."""
    errors = of_type(chunks, "error")
    return errors[-1]["metadata"]["code"] if errors else None


def outcome_of(chunks: Chunks) -> str:
    """How the request ended."""
    assert chunks[-1]["type"] == "done", chunks[-1]
    outcome: str = chunks[-1]["metadata"]["outcome"]
    return outcome
