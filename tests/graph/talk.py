"""A conversation over real HTTP, as a client holds it: messages go out, chunks come back, tool calls are answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from tests.protocol.sse import post

Chunk = dict[str, Any]


class Talk:
    """One session; every request speaks the given protocol version."""

    def __init__(self, client: httpx.Client, *, version: int = 2) -> None:
        self.client = client
        self.version = version
        self.session_id: str = client.post("/sessions", json={}).json()["id"]

    def say(self, content: str, **fields: Any) -> list[Chunk]:
        """Send a user's message."""
        return self.send({"type": "user_message", "content": content, **fields})

    def result(self, call_id: str, result: Any = None, error: str | None = None) -> list[Chunk]:
        """Send the result of a call."""
        return self.send({"type": "tool_result", "call_id": call_id, "result": result, "error": error})

    def approve(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Approve the plan that these chunks ask about."""
        asked = only(chunks, "plan_approval_required")
        return self.decide(asked["approval_request_id"], "approve")

    def decide(self, request_id: str, decision: str, feedback: str | None = None) -> list[Chunk]:
        """Decide a plan."""
        fields = {"approval_request_id": request_id, "decision": decision, "feedback": feedback}
        return self.send({"type": "plan_decision", **fields})

    def send(self, message: dict[str, Any]) -> list[Chunk]:
        """Send any message and read its body to the end."""
        body = {"session_id": self.session_id, "protocol_version": self.version, "message": message}
        response, chunks = post(self.client, body)
        assert response.status_code == 200, response.text
        return chunks

    def history(self) -> list[dict[str, Any]]:
        """The messages of the session."""
        found: list[dict[str, Any]] = self.client.get(f"/sessions/{self.session_id}/history").json()["messages"]
        return found

    def status(self) -> str:
        """The status of the session."""
        rows = self.client.get("/sessions").json()["sessions"]
        status: str = next(row["status"] for row in rows if row["id"] == self.session_id)
        return status


def kinds(chunks: Sequence[Chunk]) -> list[str]:
    """The types of chunks, deltas left out."""
    return [c["type"] for c in chunks if not (c["type"] == "assistant_message" and not c["is_final"])]


def only(chunks: Sequence[Chunk], kind: str) -> Chunk:
    """The one final chunk of a type."""
    found = [c for c in chunks if c["type"] == kind and (kind != "assistant_message" or c["is_final"])]
    assert len(found) == 1, f"{len(found)} × {kind} in {chunks}"
    return found[0]


def shown(chunks: Sequence[Chunk]) -> str:
    """All deltas, joined: what a person saw."""
    return "".join(c["token"] for c in chunks if c["type"] == "assistant_message" and not c["is_final"])
