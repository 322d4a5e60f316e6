"""How long the event loop waits while a large body is taken, stored and answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.ide import STREAM, chunks_in, request_body, tool_result, user_message
from tests.runs.opened import Client, opened

Figures = dict[str, Any]
MIB = 2**20
SIZES = {"130 kB": 130_000, "400 kB": 400_000, "1 MB": 1_000_000, "the limit": 8 * MIB - 2_000}
CALL = {"tool": "read_file", "args": {"path": "a"}}


def wide(size: int) -> Any:
    """`[[],[],…]`."""
    return [[] for _ in range(size // 3)]


def objects(size: int) -> Any:
    """`[{"a":1},{"a":1},…]`."""
    return [{"a": 1} for _ in range(size // 8)]


def keys(size: int) -> Any:
    """One object with many names."""
    return {f"k{n:07}": n for n in range(size // 18)}


def nested(size: int) -> Any:
    """Lists 60 deep, side by side."""
    value: Any = 1
    for _ in range(60):
        value = [value]
    return [value for _ in range(size // 122)]


def numbers(size: int) -> Any:
    return [n * 1.5 for n in range(size // 9)]


def text(size: int) -> Any:
    return "a line of text\n" * (size // 16)


def escaped(size: int) -> Any:
    return "\u0416\U0001f600" * (size // 18)


BODIES: tuple[Callable[[int], Any], ...] = (wide, objects, keys, nested, numbers, text, escaped)


class Watch:
    """The longest CPU time of the loop's thread between two looks at its tasks."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self) -> None:
        """Look every millisecond until cancelled."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            self.longest_s = max(self.longest_s, time.thread_time() - before)


async def measure(db_url: str) -> Figures:
    """Send each body as the result of a call."""
    async with opened(db_url) as (_, client):
        await answer(client, "warm-up", text(SIZES["1 MB"]))
        rows = [
            {"body": f"{make.__name__}, {name}", **await answer(client, f"{make.__name__}-{size}", make(size))}
            for make in BODIES
            for name, size in SIZES.items()
        ]
    return {"rows": rows}


async def answer(client: Client, session: str, result: Any) -> Figures:
    """Answer a call with this result, and watch the loop meanwhile."""
    script = f"#script\n{json.dumps([CALL, {'text': 'Done.'}])}\nRead."
    _, chunks = await client.post(user_message(script, agent_type="coder"), session)
    call_id = next(chunk["call_id"] for chunk in chunks if chunk["type"] == "tool_call")
    body = json.dumps(request_body(tool_result(call_id, result), session), separators=(",", ":"))
    return await _send(client.http, body.encode())


async def _send(http: httpx.AsyncClient, body: bytes) -> Figures:
    watch = Watch()
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(0.05)
    reply = await http.post(STREAM, content=body, headers={"Content-Type": "application/json"})
    await asyncio.sleep(0.5)
    watching.cancel()
    outcome = ""
    if reply.status_code == 200:
        outcome = str(chunks_in(reply.text)[-1]["metadata"]["outcome"])
    status = f"{reply.status_code} {outcome}".strip()
    return {"bytes": len(body), "status": status, "longest_ms": 1000 * watch.longest_s}
