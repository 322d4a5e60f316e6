"""One session as a client sees it: messages go out, chunks come back, over real HTTP."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import httpx

from errors import SessionRefusal
from tests.openai_stub import OpenAIStub
from tests.protocol.sse import post
from tests.running import api_client, running_server

Chunks = list[dict[str, Any]]
WRITE = {"path": "lib/a.dart", "content": "x"}


class Talk:
    """A session and the client that talks in it."""

    def __init__(self, client: httpx.Client, version: int = 1, session_id: str | None = None) -> None:
        self.client = client
        self.version = version
        self.session_id = session_id or f"s-{uuid.uuid4().hex[:12]}"

    @property
    def path(self) -> str:
        """Where the session is found by REST."""
        return f"/sessions/{self.session_id}"

    def send(self, message: dict[str, Any]) -> tuple[httpx.Response, Chunks]:
        """Send one message whatever comes of it."""
        return post(self.client, {"session_id": self.session_id, "protocol_version": self.version, "message": message})

    def chunks(self, message: dict[str, Any]) -> Chunks:
        """Send a message that is accepted."""
        response, chunks = self.send(message)
        assert response.status_code == 200, response.text
        return chunks

    def refused(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message that is refused: its status and body together, however the version writes them."""
        response, chunks = self.send(message)
        if response.status_code >= 400:
            return {"status": response.status_code, **response.json()}
        return refusal_in(chunks)

    def say(self, content: str, **fields: Any) -> Chunks:
        """Send a user message."""
        return self.chunks({"type": "user_message", "content": content, **fields})

    def result(self, call_id: str, result: Any = None, **fields: Any) -> Chunks:
        """Send what came of a call."""
        return self.chunks({"type": "tool_result", "call_id": call_id, "result": result, **fields})

    def decide(self, call_id: str, decision: str, **fields: Any) -> Chunks:
        """Decide a call."""
        return self.chunks({"type": "hitl_decision", "call_id": call_id, "decision": decision, **fields})

    def get(self, rest: str = "", **params: Any) -> Any:
        """Read something of the session."""
        response = self.client.get(self.path + rest, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def audit(self) -> list[dict[str, Any]]:
        """The audit of the session."""
        entries: list[dict[str, Any]] = self.get("/audit", limit=1000)["entries"]
        return entries

    def pending(self) -> list[str]:
        """The ids that wait for a decision."""
        return [row["call_id"] for row in self.get("/pending-approvals")["pending_approvals"]]

    def tool_messages(self) -> dict[str, str]:
        """The history's tool messages by call."""
        messages = self.get("/history")["messages"]
        return {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}

    def status(self) -> str:
        """What the list of sessions says of this one."""
        rows = self.client.get("/sessions", params={"limit": 1000}).json()["sessions"]
        return next(str(row["status"]) for row in rows if row["id"] == self.session_id)


def kinds(chunks: Chunks) -> list[str]:
    """The types of chunks in order."""
    return [chunk["type"] for chunk in chunks]


def text(chunks: Chunks) -> str:
    """The full text of the last assistant message."""
    return next(str(c["content"]) for c in reversed(chunks) if c["type"] == "assistant_message" and c["is_final"])


@contextlib.contextmanager
def talking(db_url: str, stub: OpenAIStub, **settings: Any) -> Iterator[httpx.Client]:
    """A server on that database whose model is the stub."""
    chosen = {"db_url": db_url, "llm_model": "scripted", "llm_proxy_url": stub.url, "llm_max_retries": 0, **settings}
    with running_server(**chosen) as url, api_client(url) as client:
        yield client


def refusal_in(chunks: Chunks) -> dict[str, Any]:
    """The one `error` chunk that version 1 reads, as version 2 reads it: status, code, detail and more."""
    assert kinds(chunks) == ["error"], f"the message was accepted: {kinds(chunks)}"
    statuses = {refusal.code: refusal.status for refusal in SessionRefusal.__subclasses__()}
    told = {key: value for key, value in chunks[0]["metadata"].items() if key != "retryable"}
    return {"status": statuses[told["code"]], "detail": chunks[0]["content"], **told}
