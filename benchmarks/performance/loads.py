"""What is asked of both servers: chat turns, tool turns and live answers, each verified by what came back."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from benchmarks.performance.processes import KEY, Server

WORDS = 50
TEXT = "word " * WORDS
RESULT = "the content of the file"


@dataclass
class Taken:
    """The times of one load, in seconds."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    turns_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Turns that were not what was asked for: they count in nothing else."""


def script(*replies: dict[str, Any]) -> str:
    """A message that both models understand: the scripted one, and the stub's responder."""
    return f"#script\n{json.dumps(replies)}\nGo."


CHAT = script({"repeat": "word ", "times": WORDS})
LIVE = script({"repeat": "word ", "times": WORDS, "every": 0.1})
TOOL = script({"tool": "read_file", "args": {"path": "a.py"}, "id": "c1"}, {"repeat": "word ", "times": WORDS})


def respond(body: dict[str, Any]) -> dict[str, Any]:
    """Answer as the script of the last user message says, for the OpenAI-compatible stub."""
    messages = body["messages"]
    asked = max(n for n, message in enumerate(messages) if message["role"] == "user")
    replies = json.loads(str(messages[asked]["content"]).split("\n")[1])
    reply = replies[sum(message["role"] == "assistant" for message in messages[asked:])]
    if "repeat" in reply:
        return {"text": (reply["repeat"] * reply["times"]).strip(), "every_s": reply.get("every", 0)}
    return {**reply, "id": f"call_{uuid.uuid4().hex}"}


class Client:
    """Plays turns against one server; raises when a turn is not what was asked for."""

    def __init__(self, server: Server) -> None:
        self.server = server
        # Dropped before the servers do it, after 5 s: a request could meet a connection that is being closed.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=1000, keepalive_expiry=2)
        self._http = httpx.AsyncClient(
            base_url=server.url, headers={"X-Internal-Auth": KEY}, timeout=120, trust_env=False, limits=limits
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, session_id: str, message: dict[str, Any], taken: Taken) -> tuple[str, str | None]:
        """Send one message: the text of the answer's tokens, and the id of a call."""
        if self.server.name == "floor":
            path, body = "/turn", {"session_id": session_id, **message}
        else:
            kind = {"type": "tool_result"} if "result" in message else {"type": "user_message", "agent_type": "coder"}
            path = "/agent/message/stream"
            body = {"session_id": session_id, "protocol_version": 2, "message": {**message, **kind}}
        began, first_s, text, call = time.monotonic(), 0.0, "", None
        ended = False
        async with self._http.stream("POST", path, json=body) as response:
            assert response.status_code == 200, await response.aread()
            async for line in response.aiter_lines():
                if not line.startswith("data: "):
                    continue
                chunk = json.loads(line[6:])
                if chunk.get("token"):
                    text += chunk["token"]
                    first_s = first_s or time.monotonic() - began
                call = chunk.get("call_id") or (chunk.get("call") or {}).get("id") or call
                ended = ended or chunk.get("type") == "done"
        assert ended, "the answer had no end"
        if first_s:
            taken.first_token_s.append(first_s)
        return text, call

    async def chat(self, session_id: str, taken: Taken, content: str = CHAT) -> None:
        """Ask, and read the whole answer."""
        began = time.monotonic()
        text, _ = await self._ask(session_id, {"content": content}, taken)
        assert text.split() == TEXT.split(), text
        taken.turns_s.append(time.monotonic() - began)

    async def tool(self, session_id: str, taken: Taken) -> None:
        """Ask, run the call that comes, send its result, and read the answer."""
        began = time.monotonic()
        _, call = await self._ask(session_id, {"content": TOOL}, taken)
        assert call is not None, "no call came"
        text, _ = await self._ask(session_id, {"call_id": call, "result": RESULT}, taken)
        assert text.split() == TEXT.split(), text
        taken.turns_s.append(time.monotonic() - began)

    async def noted(self, kind: str, session_id: str, taken: Taken) -> None:
        """Play a turn: `chat`, `tool`, or `live`, an answer of five seconds; what goes wrong in it is an error."""
        plays = {"chat": self.chat, "tool": self.tool, "live": partial(self.chat, content=LIVE)}
        try:
            await plays[kind](session_id, taken)
        except (AssertionError, httpx.HTTPError) as error:
            taken.errors.append(f"{kind} turn of {self.server.name}: {type(error).__name__}: {error}"[:200])

    async def many(self, kind: str, clients: int, turns: int) -> Taken:
        """Let so many clients play turns of one kind at once, each in sessions of ten turns."""
        taken = Taken()
        left = iter(range(turns))

        async def client() -> None:
            session_id = ""
            for number, _ in enumerate(left):
                if number % 10 == 0:
                    session_id = uuid.uuid4().hex
                await self.noted(kind, session_id, taken)

        began, cpu = time.monotonic(), self.server.cpu_s
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())
        taken.wall_s, taken.cpu_s = time.monotonic() - began, self.server.cpu_s - cpu
        return taken

    async def live(self, streams: int, over_s: float = 0.0) -> Taken:
        """Begin so many live answers within `over_s`, and read them to their ends."""
        taken = Taken()

        async def one(number: int) -> None:
            await asyncio.sleep(over_s * number / streams)
            await self.noted("live", uuid.uuid4().hex, taken)

        began, cpu = time.monotonic(), self.server.cpu_s
        async with asyncio.TaskGroup() as group:
            for number in range(streams):
                group.create_task(one(number))
        taken.wall_s, taken.cpu_s = time.monotonic() - began, self.server.cpu_s - cpu
        return taken
