"""Periodic work on sessions: approvals expire, idle sessions are swept, deleted ones removed (docs/settings.md).

Scenarios such as S27: docs/scenarios.md.
"""

from __future__ import annotations

from runs.decision.view import Expire, Request
from runs.engine import Engine
from runs.requests import take
from storage.clock import stamp_in
from storage.tables import calls, events, sessions

PURGE_AFTER_HOURS = 24 * 30
LOG_KEEP = 100_000
"""Events kept per session; a reader that wants older ones is told to resync."""


async def keep_house(engine: Engine) -> None:
    """Sweep, purge and trim once; it may run on every instance at the same time."""
    await sweep_idle(engine)
    while await purge_deleted(engine):
        pass
    async with engine.database.autocommit() as tx:
        await events.trim(tx, LOG_KEEP)


async def expire_approvals(engine: Engine) -> int:
    """Expire undecided approvals and plans; a session that waits for nothing else is free again (S27)."""
    async with engine.database.autocommit() as tx:
        due = await calls.sessions_with_expired(tx)
    for session_id in due:
        await take(engine, Request(session_id, Expire(), owner=None))
    return len(due)


async def sweep_idle(engine: Engine) -> int:
    """Soft-delete sessions that were idle for SESSION_MAX_AGE_HOURS."""
    hours = engine.settings.session_max_age_hours
    if not hours:
        return 0
    async with engine.database.autocommit() as tx:
        return len(await sessions.sweep(tx, stamp_in(-hours)))


async def purge_deleted(engine: Engine) -> int:
    """Remove everything of sessions that were deleted long ago, their threads first."""
    async with engine.database.autocommit() as tx:
        old = await sessions.purgeable(tx, stamp_in(-PURGE_AFTER_HOURS))
    for session_id in old:
        await engine.checkpoints.delete(session_id)
        async with engine.database.transaction(long=True) as tx:
            await sessions.hard_delete(tx, session_id)
    return len(old)
