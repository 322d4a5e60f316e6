"""A model server that counts what it answers for each turn, and fails for a while when told to."""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tests.openai_stub import Json, OpenAIStub

CALLS_A_TURN = 2
"""The calls of a turn that the client executes: one that is allowed, one that is asked."""
ANSWER = "word " * 20


def replies_of(content: str) -> list[Json]:
    """A turn of four replies: a local tool, an allowed call, an approval and a streamed answer."""
    path = content.lower().replace(" ", "-").strip(".")
    write = {"tool": "write_file", "args": {"path": f"{path}.py", "content": path}}
    return [
        {"text": "I compute.", "tool": "calculator", "args": {"expr": "1 + 1"}},
        {"text": "I look at it.", "tool": "read_file", "args": {"path": f"{path}.md"}},
        {"text": "I write " * 5, **write, "delay_s": 0.02},
        {"text": ANSWER.strip(), "delay_s": 0.02},
    ]


class CountingModel:
    """Answers by place: how many messages of the assistant follow the newest one of the user."""

    def __init__(self, stub: OpenAIStub) -> None:
        self._stub = stub
        stub.responder = self._respond
        self.answered: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By the user's message: how often the reply at each place was begun, the faulty ones left out."""
        self.faulty = 0
        self.violations: list[str] = []
        """Requests in which a tool call had not exactly one tool message, in words."""
        self._fault: Json | None = None

    @property
    def url(self) -> str:
        """The address to configure as the proxy's."""
        return self._stub.url

    @contextlib.contextmanager
    def fault(self, reply: Json) -> Iterator[None]:
        """Let this stand in every reply of the block: `status`, `bytes`, `drop_after`, `silent_s` (see OpenAIStub)."""
        self._fault = reply
        try:
            yield
        finally:
            self._fault = None

    def _respond(self, body: Json) -> Json:
        self.violations += self._stub.violations
        self._stub.violations.clear()
        self._stub.requests.clear()  # an hour of them would not fit into memory
        messages: list[Any] = body["messages"]
        asked = max(place for place, message in enumerate(messages) if message["role"] == "user")
        content = str(messages[asked]["content"])
        place = sum(message["role"] == "assistant" for message in messages[asked:])
        reply = {**replies_of(content)[place], "id": f"call_{uuid.uuid4().hex}"}
        fault = self._fault
        if fault is None or "silent_s" in fault:
            self.answered[content][str(place)] += 1
        else:
            self.faulty += 1
        return {**reply, **(fault or {})}
