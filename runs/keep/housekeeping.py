"""What time does to sessions: approvals expire, idle sessions are swept, long-deleted ones are removed (section 10)."""

from __future__ import annotations

from runs import supersede
from runs.engine import Engine
from storage import audit, calls, events, runs, sessions
from storage.audit import AuditEntry
from storage.clock import stamp_in
from wire.chunks import done_chunk
from wire.frames import pack
from wire.protocol import error_chunk

PURGE_AFTER_HOURS = 24 * 30
LOG_KEEP = 100_000
"""Events kept per session; a reader that wants older ones is told to resync."""
EXPIRED = "Nobody approved the call in time."


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
        await expire_in(engine, session_id)
    return len(due)


async def expire_in(engine: Engine, session_id: str) -> None:
    """Expire what is due in one session."""
    async with engine.database.transaction() as tx:
        session = await sessions.find_any(tx, session_id, lock=True)
        expired = await calls.expire(tx, session_id)
        if session is None or not expired:
            return
        run = await runs.active(tx, session_id)
        entries = [
            AuditEntry("approval_expired", actor="clock", call_id=call_id, tool_name=tool_name)
            for call_id, tool_name, _ in expired
        ]
        await audit.append(tx, session_id, entries, run_id=run.id if run else None)
        if run is None or await calls.open_calls(tx, session_id):
            return
        await supersede.end_open_round(tx, session_id, "expiry")
        await runs.end_paused(tx, session_id, "cancelled")
        told = error_chunk("approval_expired", EXPIRED, call_id=expired[0][0], tool_name=expired[0][1])
        usage = {"llm_calls": 0, "prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
        chunks = [pack(told), pack(done_chunk("failed", usage))]
        stored = await events.append(tx, session_id, run.request_id, chunks)
    engine.live.publish(session_id, stored)


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
        async with engine.database.transaction() as tx:
            await sessions.hard_delete(tx, session_id)
    return len(old)
