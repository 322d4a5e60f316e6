"""What the faults are done to: two servers behind links of their own, one PostgreSQL, one model, and clients."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.chaos.clocks import ShiftedInstance
from tests.chaos.cluster import Cluster, Instance
from tests.chaos.counting_model import CountingModel
from tests.chaos.faulty_link import FaultyLink
from tests.chaos.outage import Postgres
from tests.chaos.witness import WitnessIde

SERVING_S = 60.0


class NoOccasion(Exception):
    """The fault found nothing to be done to; another try may."""


@dataclass(frozen=True)
class Met:
    """One fault that was done, with its time by the monotonic clock."""

    kind: str
    began: float
    ended: float


@dataclass
class World:
    """Everything that can go wrong."""

    db_url: str
    """The database itself, past every link."""
    postgres: Postgres
    cluster: Cluster
    links: list[FaultyLink]
    model: CountingModel
    random: random.Random
    clients: list[WitnessIde] = field(default_factory=list)
    """Those that have a turn now."""
    excused: set[str] = field(default_factory=set)
    """What a session that begins now may be told besides: see `Witness.excused`."""
    taken_after: list[tuple[float, str]] = field(default_factory=list)
    """How long after each kill its runs were taken over, in seconds, with the fault before the kill."""
    met: list[Met] = field(default_factory=list)

    def instance(self) -> Instance:
        """One of the servers."""
        return self.random.choice(self.cluster.instances)

    def shifted(self) -> ShiftedInstance:
        """One of the servers, whose clock can be set."""
        instance = self.instance()
        assert isinstance(instance, ShiftedInstance)
        return instance

    def link(self) -> FaultyLink:
        """The link of one of the servers to the database."""
        return self.random.choice(self.links)

    def client(self) -> WitnessIde:
        """One of the clients."""
        return self.random.choice(self.clients)

    def between(self, shortest_s: float, longest_s: float) -> float:
        """A time, drawn by the seed."""
        return self.random.uniform(shortest_s, longest_s)

    async def hold(self, shortest_s: float, longest_s: float) -> None:
        """Let a fault hold for a time."""
        await asyncio.sleep(self.between(shortest_s, longest_s))

    @contextlib.asynccontextmanager
    async def connection(self, *, autocommit: bool = True) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection to the database past every link."""
        async with await psycopg.AsyncConnection.connect(self.db_url, autocommit=autocommit) as connection:
            yield connection

    @contextlib.contextmanager
    def excusing(self, *codes: str, clients: list[WitnessIde] | None = None) -> Iterator[None]:
        """Let turns of these clients, or of all, end with errors whose codes begin so."""
        for client in self.clients if clients is None else clients:
            client.witness.excused.update(codes)
        if clients is None:
            self.excused.update(codes)
        yield
        self.excused.difference_update(codes)

    async def all_serving(self) -> None:
        """Wait until every server serves again."""
        deadline = time.monotonic() + SERVING_S
        while not all(instance.is_serving for instance in self.cluster.instances):
            assert time.monotonic() < deadline, f"a server does not serve after {SERVING_S} s"
            await asyncio.sleep(0.02)


Fault = Callable[[World], Awaitable[None]]
"""One fault from its beginning to its end; its docstring is its name in the report."""
