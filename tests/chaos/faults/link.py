"""Faults of the link between one server and PostgreSQL: slow, narrow, one-way, broken, also inside a COMMIT."""

from __future__ import annotations

import asyncio

from tests.chaos.faults.world import Fault as Kind
from tests.chaos.faults.world import NoOccasion, World
from tests.chaos.faulty_link import Fault

COMMIT_WITHIN_S = 5.0


async def delay_answers(world: World) -> None:
    """slow answers of the database"""
    await _fault(world, Fault("answers", delay_s=world.between(0.05, 0.3)))


async def delay_requests(world: World) -> None:
    """slow requests to the database"""
    await _fault(world, Fault("requests", delay_s=world.between(0.05, 0.3)))


async def throttle(world: World) -> None:
    """a narrow link to the database"""
    await _fault(world, Fault("answers", bytes_a_second=world.between(6_000, 20_000)))


async def lose_requests(world: World) -> None:
    """requests to the database lost, answers not"""
    await _fault(world, Fault("requests", is_lost=True))


async def lose_answers(world: World) -> None:
    """answers of the database lost, requests not"""
    await _fault(world, Fault("answers", is_lost=True))


async def cut(world: World) -> None:
    """every connection to the database cut"""
    link = world.link()
    for _ in range(3):
        link.cut()
        await world.hold(0.05, 0.4)


async def cut_in_commit(world: World) -> None:
    """a connection cut while its COMMIT is on the way"""
    await _break_commit(world, arrives_first=False)


async def swallow_answer_to_commit(world: World) -> None:
    """the answer to a COMMIT swallowed"""
    await _break_commit(world, arrives_first=True)


async def _fault(world: World, fault: Fault) -> None:
    async with world.link().fault(fault):
        await world.hold(0.5, 2.0)


async def _break_commit(world: World, *, arrives_first: bool) -> None:
    with world.link().broken_commit(arrives_first=arrives_first) as commit:
        try:
            async with asyncio.timeout(COMMIT_WITHIN_S):
                await commit.has_broken.wait()
        except TimeoutError as error:
            raise NoOccasion from error
        await world.hold(0.1, 1.2)


LINK_FAULTS: tuple[Kind, ...] = (
    delay_answers,
    delay_requests,
    throttle,
    lose_requests,
    lose_answers,
    cut,
    cut_in_commit,
    swallow_answer_to_commit,
)
