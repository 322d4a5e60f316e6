"""Periodic work on sessions: approvals expire, idle sessions are swept, deleted ones removed (docs/settings.md).

Scenarios such as S27: docs/scenarios.md.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from runs.decision.contract import Expire, Request
from runs.engine import Engine
from storage.database import stamp_in
from storage.tables import calls, events, sessions, spending

_log = logging.getLogger("runs.housekeeping")
PURGE_AFTER_HOURS = 24 * 30
KEPT_SPENDING_DAYS = 366
"""As long as the longest BUDGET_OWNER_DAYS."""
LOG_KEEP = 100_000
"""Events kept per session; a reader that wants older ones is told to resync."""


async def keep_house(engine: Engine) -> None:
    """Sweep, purge and trim once; it may run on every instance at the same time."""
    await sweep_idle(engine)
    while await purge_deleted(engine):
        pass
    async with engine.database.autocommit() as tx:
        await events.trim(tx, LOG_KEEP)
        await spending.forget(tx, KEPT_SPENDING_DAYS)


async def expire_approvals(engine: Engine) -> int:
    """Expire undecided approvals and plans; a session that waits for nothing else is free again (S27)."""
    async with engine.database.autocommit() as tx:
        due = await calls.sessions_with_expired(tx)
    if not due:
        return 0
    await engine.load_graph()
    from runs.requests import take  # imported by now

    requests = [Request(session_id, Expire(), owner=None) for session_id in due]
    return sum([await _alone(take(engine, request), request.session_id) for request in requests])


async def sweep_idle(engine: Engine) -> int:
    """Soft-delete sessions that were idle for SESSION_MAX_AGE_HOURS."""
    hours = engine.settings.session_max_age_hours
    if not hours:
        return 0
    async with engine.database.autocommit() as tx:
        return len(await sessions.sweep(tx, stamp_in(-hours)))


async def purge_deleted(engine: Engine) -> int:
    """Remove everything of sessions that were deleted long ago and did not come back."""
    before = stamp_in(-PURGE_AFTER_HOURS)
    async with engine.database.autocommit() as tx:
        old = await sessions.purgeable(tx, before)
    if old:
        await engine.load_graph()
    return sum([await _alone(_purge(engine, session_id, before), session_id) for session_id in old])


async def _purge(engine: Engine, session_id: str, before: str) -> bool:
    async with engine.database.transaction(long=True) as tx:
        return await sessions.purge(tx, session_id, before)


async def _alone(step: Awaitable[object], session_id: str) -> bool:
    """Do a step for one session; when it fails the others still get theirs. Returns whether it did something."""
    try:
        return await step is not False
    except Exception:  # noqa: BLE001 recorded; the next round tries it again
        _log.exception("housekeeping failed", extra={"action": "housekeeping_failed", "session": session_id})
        return False
