"""Faults of the model server: down, slow, answering nonsense, breaking off."""

from __future__ import annotations

from tests.chaos.faults.world import Fault, World

BREAKS_OFF_AFTER_BYTES = 700


async def down(world: World) -> None:
    """the model server down"""
    with world.excusing("llm_"), world.model.fault({"status": 503}):
        await world.hold(0.5, 2.0)


async def slow(world: World) -> None:
    """the model server slow"""
    with world.model.fault({"silent_s": world.between(0.5, 2.0)}):
        await world.hold(0.5, 2.0)


async def nonsense(world: World) -> None:
    """the model server answering nonsense"""
    with world.excusing("llm_"), world.model.fault({"bytes": "<html>gateway</html>", "type": "text/html"}):
        await world.hold(0.3, 1.0)


async def broken_stream(world: World) -> None:
    """the model server breaking off in the middle of a reply"""
    with world.excusing("llm_"), world.model.fault({"drop_after": BREAKS_OFF_AFTER_BYTES}):
        await world.hold(0.3, 1.0)


MODEL_FAULTS: tuple[Fault, ...] = (down, slow, nonsense, broken_stream)
