"""The client that plays the IDE: messages go out, chunks come back, refusals are read in either version."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import httpx

from errors import SessionRefusal

Chunk = dict[str, Any]
Chunks = list[Chunk]
STREAM = "/agent/message/stream"
WRITE = {"path": "lib/a.dart", "content": "x"}


def request_body(message: dict[str, Any], session_id: str, version: int = 2) -> dict[str, Any]:
    """The body that carries a message."""
    return {"session_id": session_id, "protocol_version": version, "message": message}


def user_message(content: str, **fields: Any) -> dict[str, Any]:
    """What a person says."""
    return {"type": "user_message", "content": content, **fields}


def tool_result(call_id: str, result: Any = None, **fields: Any) -> dict[str, Any]:
    """What came of a call."""
    return {"type": "tool_result", "call_id": call_id, "result": result, **fields}


def hitl_decision(call_id: str, decision: str, **fields: Any) -> dict[str, Any]:
    """What a person decided about a call."""
    return {"type": "hitl_decision", "call_id": call_id, "decision": decision, **fields}


def plan_decision(request_id: str, decision: str, **fields: Any) -> dict[str, Any]:
    """What a person decided about a plan."""
    return {"type": "plan_decision", "approval_request_id": request_id, "decision": decision, **fields}


class EventLines:
    """Reads the lines of a stream as the gateways do: only `data: ` lines carry chunks, `id: ` lines number them."""

    def __init__(self) -> None:
        self._number = 0

    def take(self, line: str) -> tuple[int, Chunk] | None:
        """The numbered chunk that this line completes."""
        if line.startswith("id: "):
            self._number = int(line[4:])
        return (self._number, json.loads(line[6:])) if line.startswith("data: ") else None


def events_in(text: str) -> list[tuple[int, Chunk]]:
    """The numbered chunks of a whole stream."""
    lines = EventLines()
    return [event for line in text.split("\n") if (event := lines.take(line)) is not None]


def chunks_in(text: str) -> Chunks:
    """The chunks of a whole stream."""
    return [chunk for _, chunk in events_in(text)]


def post(client: httpx.Client, body: dict[str, Any]) -> tuple[httpx.Response, Chunks]:
    """Send one message and read its body to the end: the response and its chunks."""
    with client.stream("POST", STREAM, json=body) as response:
        if response.status_code != 200:
            response.read()
            return response, []
        text = b"".join(response.iter_bytes()).decode()
    return response, chunks_in(text)


class Ide:
    """One session and the client that speaks one protocol version in it."""

    def __init__(self, client: httpx.Client, version: int = 2, session_id: str | None = None) -> None:
        self.client = client
        self.version = version
        self.session_id = session_id or f"s-{uuid.uuid4().hex[:12]}"

    @classmethod
    def opened(cls, client: httpx.Client, version: int = 2) -> Ide:
        """A session that the server has created before its first message."""
        return cls(client, version, client.post("/sessions", json={}).json()["id"])

    @property
    def path(self) -> str:
        """Where the session is found by REST."""
        return f"/sessions/{self.session_id}"

    def post(self, message: dict[str, Any]) -> tuple[httpx.Response, Chunks]:
        """Send one message whatever comes of it."""
        return post(self.client, request_body(message, self.session_id, self.version))

    def send(self, message: dict[str, Any]) -> Chunks:
        """Send a message that is accepted."""
        response, chunks = self.post(message)
        assert response.status_code == 200, f"{response.status_code} {response.text}"
        return chunks

    def refused(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message that is refused: its status and body together, however the version writes them."""
        response, chunks = self.post(message)
        if response.status_code >= 400:
            return {"status": response.status_code, **response.json()}
        return refusal_in(chunks)

    def say(self, content: str, **fields: Any) -> Chunks:
        """Send a user message."""
        return self.send(user_message(content, **fields))

    def result(self, call_id: str, result: Any = "ok", **fields: Any) -> Chunks:
        """Send what came of a call."""
        return self.send(tool_result(call_id, result, **fields))

    def decide(self, call_id: str, decision: str, **fields: Any) -> Chunks:
        """Decide a call."""
        return self.send(hitl_decision(call_id, decision, **fields))

    def decide_plan(self, request_id: str, decision: str, **fields: Any) -> Chunks:
        """Decide a plan."""
        return self.send(plan_decision(request_id, decision, **fields))

    def approve_plan(self, chunks: Sequence[Chunk]) -> Chunks:
        """Approve the plan that these chunks ask about."""
        return self.decide_plan(only(chunks, "plan_approval_required")["approval_request_id"], "approve")

    def get(self, rest: str = "", **params: Any) -> Any:
        """Read something of the session."""
        response = self.client.get(self.path + rest, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def audit(self) -> list[dict[str, Any]]:
        """The audit of the session."""
        entries: list[dict[str, Any]] = self.get("/audit", limit=1000)["entries"]
        return entries

    def approvals(self) -> list[dict[str, Any]]:
        """What waits for a decision."""
        rows: list[dict[str, Any]] = self.get("/pending-approvals")["pending_approvals"]
        return rows

    def pending(self) -> list[str]:
        """The ids that wait for a decision."""
        return [row["call_id"] for row in self.approvals()]

    def history(self) -> list[dict[str, Any]]:
        """The messages of the session."""
        messages: list[dict[str, Any]] = self.get("/history")["messages"]
        return messages

    def tool_messages(self) -> dict[str, str]:
        """The history's tool messages by call, oldest first."""
        return {m["tool_call_id"]: m["content"] for m in self.history() if m["role"] == "tool"}

    def status(self) -> str:
        """What the list of sessions says of this one."""
        rows = self.client.get("/sessions", params={"limit": 1000}).json()["sessions"]
        return next(str(row["status"]) for row in rows if row["id"] == self.session_id)


def kinds(chunks: Sequence[Chunk]) -> list[str]:
    """The types of chunks in order."""
    return [chunk["type"] for chunk in chunks]


def final_kinds(chunks: Sequence[Chunk]) -> list[str]:
    """The types of chunks in order, deltas left out."""
    return [c["type"] for c in chunks if not (c["type"] == "assistant_message" and not c["is_final"])]


def of_type(chunks: Sequence[Chunk], kind: str) -> Chunks:
    """The chunks of one type."""
    return [chunk for chunk in chunks if chunk["type"] == kind]


def only(chunks: Sequence[Chunk], kind: str) -> Chunk:
    """The one final chunk of a type."""
    found = [c for c in of_type(chunks, kind) if kind != "assistant_message" or c["is_final"]]
    assert len(found) == 1, f"{len(found)} × {kind} in {chunks}"
    return found[0]


def shown(chunks: Sequence[Chunk]) -> str:
    """All deltas, joined: what a person saw."""
    return "".join(c["token"] for c in of_type(chunks, "assistant_message") if not c["is_final"])


def answer_of(chunks: Sequence[Chunk]) -> str | None:
    """The full text of the last assistant message."""
    full = [c["content"] for c in of_type(chunks, "assistant_message") if c["is_final"]]
    return full[-1] if full else None


def error_of(chunks: Sequence[Chunk]) -> str | None:
    """The code of the last error chunk."""
    errors = of_type(chunks, "error")
    return errors[-1]["metadata"]["code"] if errors else None


def outcome_of(chunks: Sequence[Chunk]) -> str:
    """How the request ended."""
    assert chunks[-1]["type"] == "done", chunks[-1]
    outcome: str = chunks[-1]["metadata"]["outcome"]
    return outcome


def refusal_in(chunks: Sequence[Chunk]) -> dict[str, Any]:
    """The one `error` chunk that version 1 reads, as version 2 reads it: status, code, detail and more."""
    assert kinds(chunks) == ["error"], f"the message was accepted: {kinds(chunks)}"
    statuses = {refusal.code: refusal.status for refusal in SessionRefusal.__subclasses__()}
    told = {key: value for key, value in chunks[0]["metadata"].items() if key != "retryable"}
    return {"status": statuses[told["code"]], "detail": chunks[0]["content"], **told}
