"""Faults of server processes: killed, stopped, frozen, with clocks that lie."""

from __future__ import annotations

import asyncio
import time

from tests.chaos.faults.world import Fault, World
from tests.chaos.kills import orphans_of_killed, until_taken_over

FROZEN_S = 11.0
"""Longer than the lease of a worker (`LEASE_S` in storage/tables/workers.py)."""


async def kill(world: World) -> None:
    """SIGKILL"""
    victim = world.instance()
    async with world.connection() as connection:
        victim.kill()
        killed_at = time.monotonic()
        await victim.ended()
        starting = asyncio.create_task(victim.start())
        before = world.met[-1].kind if world.met else "no fault"
        found = await orphans_of_killed(connection)
        world.taken_after += [(took_s, before) for took_s in await until_taken_over(connection, found, killed_at)]
    await starting


async def terminate(world: World) -> None:
    """SIGTERM"""
    victim = world.instance()
    victim.terminate()
    status = await victim.ended(60)
    assert status in (0, -15), f"the server ended with {status}"
    await victim.start()


async def freeze(world: World) -> None:
    """SIGSTOP for longer than the lease"""
    await _freeze(world, FROZEN_S)


async def freeze_shortly(world: World) -> None:
    """SIGSTOP for a moment"""
    await _freeze(world, world.between(0.3, 2.0))


async def _freeze(world: World, frozen_s: float) -> None:
    victim = world.instance()
    with victim.frozen():
        await asyncio.sleep(min(0.5, frozen_s))
        victim.is_serving = False  # a balancer has noticed
        await asyncio.sleep(max(0.0, frozen_s - 0.5))
    victim.is_serving = True


async def set_clock_ahead(world: World) -> None:
    """the clock of a server set ahead"""
    world.shifted().step(world.between(1, 3600))
    await world.hold(0.3, 0.8)


async def set_clock_back(world: World) -> None:
    """the clock of a server stepping back while it runs"""
    instance = world.shifted()
    for _ in range(3):
        instance.step(-world.between(0.01, 3600))
        await world.hold(0.1, 0.3)


PROCESS_FAULTS: tuple[Fault, ...] = (kill, terminate, freeze, freeze_shortly, set_clock_ahead, set_clock_back)
