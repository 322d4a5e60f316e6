"""A client that goes by what it sees alone, and keeps what it did and saw for the history checker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from tests.chaos.cluster import Cluster
from tests.chaos.history import Numbered, Witness, deed, ends
from tests.chaos.ide import RETRY_S, SurvivingIde
from tests.ide import Chunk, hitl_decision, tool_result, user_message

FATE_S = 2.0
"""A message whose answer broke off is sent again when the history has not shown it for so long."""
Found = TypeVar("Found")


class Stuck(Exception):
    """A session did not come to the end of its turn."""


@dataclass
class Turn:
    """One turn: what was said, and when it began and ended by the monotonic clock."""

    content: str
    began: float
    ended: float = float("inf")


class WitnessIde(SurvivingIde):
    """One session and its user; decides, executes and goes on by what its reader is shown."""

    def __init__(self, cluster: Cluster, client: httpx.AsyncClient, session_id: str, seed: int) -> None:
        super().__init__(cluster, client, session_id, seed, agent="universal")
        self.witness = Witness(session_id, seen=self.seen)
        self.turns: list[Turn] = []
        self.patience_s = 120.0
        self._open: set[asyncio.Task[Any]] = set()

    def hang_up(self) -> int:
        """Break every connection of this client: how many there were."""
        for task in (tasks := [*self._open]):
            task.cancel()
        return len(tasks)

    async def post(self, message: dict[str, Any]) -> tuple[int, list[Numbered]]:
        """Send a message once; an answer that was read to its end is kept."""
        status, events = await self._cuttable(super().post(message))
        if numbered := [(number, chunk) for number, chunk in events if number]:
            self.witness.bodies.append(numbered)
        return status, events

    async def read(self) -> None:
        """Follow the session for ever, from wherever somebody answers."""
        while True:
            with contextlib.suppress(httpx.TransportError):
                await self._cuttable(super().read())

    async def turn_of(self, content: str) -> None:
        """Say something, then decide and execute what is asked until the turn has ended; raises Stuck."""
        turn = Turn(content, time.monotonic())
        self.turns.append(turn)
        position = len(self.seen)
        await self._say(content)
        while True:
            while position < len(self.seen):
                number, chunk = self.seen[position]
                position += 1
                if chunk["type"] == "tool_call":
                    await self._take(chunk)
                elif number in dict(ends(self.seen[max(0, position - 2) : position])):
                    turn.ended = time.monotonic()
                    return
            if time.monotonic() - turn.began > self.patience_s:
                raise Stuck(f"{self.session_id}: {content!r} has no end, the reader is at {self.seen[-1:]}")
            await asyncio.sleep(RETRY_S / 2)

    async def _take(self, call: Chunk) -> None:
        """Decide a call if that is asked, then execute it, as a client does that keeps no list of calls."""
        if call["requires_approval"]:
            decision = "reject" if self.random.random() < 0.2 else "approve"
            await self.insist(hitl_decision(call["call_id"], decision))
            if decision == "reject":
                return
        self.witness.executed[deed(call)] += 1
        await self.insist(tool_result(call["call_id"], {"success": True}))

    async def _say(self, content: str) -> None:
        """Send a message until it is taken; where that is not known, the history tells."""
        deadline = time.monotonic() + self.patience_s
        while time.monotonic() < deadline:
            is_known = False
            with contextlib.suppress(httpx.TransportError):
                status, _ = await self.post(user_message(content, agent_type=self.agent))
                if status == 200:
                    break
                assert status in {409, *self.refusals}, f"{self.session_id}: {status} {self.refusal}"
                is_known = "not_ready" not in self.refusal
            self.reconnects += 1
            if not is_known and await self._was_taken(content, deadline):
                break
            await asyncio.sleep(RETRY_S)
        else:
            raise Stuck(f"{self.session_id}: nobody took {content!r} in {self.patience_s:.0f} s")
        self.witness.said.append(content)

    async def _was_taken(self, content: str, deadline: float) -> bool:
        """Whether the history shows a message, read until it does or has not for FATE_S."""
        first_read: float | None = None
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                url = f"{self.cluster.any_url()}/sessions/{self.session_id}/history"
                response = await self.client.get(url)
                if response.status_code in (200, 404):
                    if content in [message["content"] for message in response.json().get("messages", [])]:
                        return True
                    first_read = first_read or time.monotonic()
                    if time.monotonic() - first_read > FATE_S:
                        return False
            await asyncio.sleep(4 * RETRY_S)
        return False

    async def _cuttable(self, step: Coroutine[Any, Any, Found]) -> Found:
        """Do a step over the network that `hang_up` breaks."""
        task = asyncio.create_task(step)
        self._open.add(task)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise httpx.ReadError("the client hung up") from None
            task.cancel()
            raise
        finally:
            self._open.discard(task)
