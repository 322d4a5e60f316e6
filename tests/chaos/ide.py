"""An IDE that survives its servers: it asks, decides, runs tools and reads on wherever somebody answers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg

from tests.chaos.cluster import Cluster
from tests.ide import STREAM, Chunk, EventLines, hitl_decision, request_body, tool_result, user_message
from tests.running import KEY

TURN_S = 120.0
"""A session that waits for longer is stuck."""
RETRY_S = 0.05
OPEN_CALLS = """select call_id, state from tool_calls
                where session_id = %s and state in ('pending', 'approved', 'executing')"""


async def events_of(response: httpx.Response) -> AsyncIterator[tuple[int, Chunk]]:
    """The numbered chunks of a stream."""
    lines = EventLines()
    async for line in response.aiter_lines():
        if (event := lines.take(line)) is not None:
            yield event


def http_client() -> httpx.AsyncClient:
    """A client with the key of the tests and patience for slow machines."""
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=0)
    return httpx.AsyncClient(headers={"X-Internal-Auth": KEY}, timeout=60, limits=limits, trust_env=False)


class SurvivingIde:
    """One session and its user, over any server of a cluster that answers."""

    def __init__(
        self, cluster: Cluster, client: httpx.AsyncClient, session_id: str, seed: int, agent: str = "coder"
    ) -> None:
        self.cluster = cluster
        self.client = client
        self.session_id = session_id
        self.agent = agent
        self.random = random.Random(seed)
        self.reconnects = 0
        self.refused = 0
        self.patience_s = TURN_S
        self.refusals = {503}
        """The statuses after which a message may be sent again."""
        self.refusal = ""
        """The body of the last refusal."""
        self.seen: list[tuple[int, Chunk]] = []
        """What the reader of this session saw, in order."""

    async def post(self, message: dict[str, Any]) -> tuple[int, list[tuple[int, Chunk]]]:
        """Send a message once: the status and what was streamed; raises httpx.TransportError when it broke off."""
        body = request_body(message, self.session_id)
        url = f"{self.cluster.any_url()}{STREAM}"
        async with self.client.stream("POST", url, json=body) as response:
            if response.status_code != 200:
                self.refusal = (await response.aread()).decode()
                return response.status_code, []
            return 200, [item async for item in events_of(response)]

    async def insist(self, message: dict[str, Any], *, accepted: tuple[int, ...] = (200, 409)) -> int:
        """Send a message that may be repeated until somebody takes it."""
        deadline = time.monotonic() + self.patience_s
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                status, _ = await self.post(message)
                if status in accepted:
                    return status
                assert status in self.refusals, f"{self.session_id}: {status} {self.refusal} for {message}"
                self.refused += 1
            self.reconnects += 1
            await asyncio.sleep(RETRY_S)
        raise AssertionError(f"{self.session_id}: nobody took {message} in {self.patience_s} s")

    async def ask(self, connection: psycopg.AsyncConnection[Any], content: str) -> None:
        """Send a user's message until it is in the history, once."""
        deadline = time.monotonic() + TURN_S
        message = user_message(content, agent_type=self.agent)
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                status, _ = await self.post(message)
                if status == 200:
                    return
                assert status in self.refusals | {502}, f"{self.session_id}: {status} for a message"  # 502: of a proxy
                self.refused += 1
            self.reconnects += 1
            await asyncio.sleep(RETRY_S)
            query = "select 1 from messages where session_id = %s and role = 'user' and content = %s"
            if await (await connection.execute(query, (self.session_id, content))).fetchone():
                return
        raise AssertionError(f"{self.session_id}: nobody took the message in {TURN_S} s")

    async def turn(self, connection: psycopg.AsyncConnection[Any], content: str) -> str:
        """Ask, then approve and run whatever is called, until the turn has ended: the status of its run."""
        await self.ask(connection, content)
        while True:
            status = await self.settled(connection)
            if status != "paused":
                return status
            for call_id, state in await (await connection.execute(OPEN_CALLS, (self.session_id,))).fetchall():
                if state == "pending":
                    decision = "reject" if self.random.random() < 0.2 else "approve"
                    await self.insist(hitl_decision(call_id, decision))
                    if decision == "reject":
                        continue
                await self.insist(tool_result(call_id, {"success": True}))

    async def settled(self, connection: psycopg.AsyncConnection[Any]) -> str:
        """Wait until no run of the session is running: how the newest one stands."""
        deadline = time.monotonic() + TURN_S
        query = "select status from runs where session_id = %s order by created_at desc limit 1"
        while time.monotonic() < deadline:
            row = await (await connection.execute(query, (self.session_id,))).fetchone()
            if row is not None and row[0] != "running":
                return str(row[0])
            await asyncio.sleep(0.03)
        raise AssertionError(f"{self.session_id} is stuck: its run is running for {TURN_S} s")

    async def read(self) -> None:
        """Follow the session for ever, from wherever somebody answers, each time after the last number seen."""
        while True:
            last = self.seen[-1][0] if self.seen else 0
            url = f"{self.cluster.any_url()}/sessions/{self.session_id}/stream"
            with contextlib.suppress(httpx.TransportError):
                async with self.client.stream("GET", url, headers={"Last-Event-ID": str(last)}) as response:
                    if response.status_code == 200:
                        async for item in events_of(response):
                            self.seen.append(item)
            await asyncio.sleep(RETRY_S)
