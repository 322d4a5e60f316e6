"""The sessions table: the owner, the current agent and the last activity of each session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from errors import SessionUnknown
from storage.database import Transaction, stamp
from storage.tables.columns import COMPUTED, read


@dataclass(frozen=True)
class Session:
    """One row; without the fields that have a default it is a session as `create` makes it."""

    id: str
    owner: str
    created_at: str
    last_activity: str
    title: str | None = None
    description: str | None = None
    deleted_at: str | None = None
    swept_at: str | None = None
    current_agent: str = "orchestrator"
    agent_chosen_by: str = "router"
    switch_count: int = 0
    last_switch_at: str | None = None
    environment: dict[str, Any] | None = None
    last_seq: int = 0
    message_count: int = field(default=0, metadata=COMPUTED)


async def find(tx: Transaction, session_id: str, owner: str, *, lock: bool = False) -> Session:
    """Return the owner's session; raises SessionUnknown for a deleted one and for that of another owner."""
    session = await find_any(tx, session_id, lock=lock)
    if session is None or session.owner != owner or session.deleted_at is not None:
        raise SessionUnknown.named(session_id)
    return session


async def find_any(tx: Transaction, session_id: str, *, lock: bool = False) -> Session | None:
    """Return the session of any owner, deleted or not; `lock` locks its row until the transaction ends."""
    row = await tx.row("lock_session" if lock else "find_session", session_id=session_id)
    return read(Session, row) if row else None


async def hold_if_free(tx: Transaction, session_id: str) -> bool:
    """Hold a session until the transaction ends; False at once while another one holds it. True when it is gone."""
    return bool(await tx.value("hold_session_if_free", session_id=session_id))


async def create(tx: Transaction, session_id: str, owner: str) -> bool:
    """Create a session; False when the id is taken."""
    return await tx.value("create_session", session_id=session_id, owner=owner, now=stamp()) is not None


async def soft_delete(tx: Transaction, session_id: str) -> bool:
    """Mark a session as deleted."""
    return await tx.run("soft_delete_session", session_id=session_id, now=stamp(), swept=None) > 0


async def hard_delete(tx: Transaction, session_id: str) -> None:
    """Remove a session with its thread and all its rows, held first: nothing of it is written meanwhile."""
    from storage.checkpoints import delete_thread  # LangGraph's savers: a start does without them

    await find_any(tx, session_id, lock=True)
    await delete_thread(tx, session_id)
    await tx.run("hard_delete_session", session_id=session_id)


async def purge(tx: Transaction, session_id: str, before: str) -> bool:
    """Remove a session as `hard_delete` does; False when it came back meanwhile, or is gone."""
    session = await find_any(tx, session_id, lock=True)
    if session is None or session.deleted_at is None or session.deleted_at >= before:
        return False
    await hard_delete(tx, session_id)
    return True


async def sweep(tx: Transaction, before: str) -> list[str]:
    """Hide sessions that were idle since `before`, until their next message; returns their ids."""
    return [row.id for row in await tx.rows("sweep_sessions", before=before, now=stamp())]


async def purgeable(tx: Transaction, before: str) -> list[str]:
    """Return the sessions that were deleted before that time."""
    return [row.id for row in await tx.rows("purgeable_sessions", before=before)]


async def describe(tx: Transaction, session_id: str, title: str | None, description: str | None) -> None:
    """Set title and description."""
    await tx.run("describe_session", session_id=session_id, title=title, description=description)


async def restore(tx: Transaction, session_id: str) -> bool:
    """Show a deleted session again; return False where it is not deleted."""
    return await tx.value("restore_session", session_id=session_id) is not None


async def listing(
    tx: Transaction, owner: str, limit: int, offset: int, *, deleted: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """Return the owner's sessions, or the deleted ones, as the wire lists them, newest first, and their number."""
    waits = {1: "awaiting_approval", 2: "awaiting_answer", 3: "awaiting_plan", 4: "awaiting_tool"}
    rows = await tx.rows("list_sessions", owner=owner, limit=limit, offset=offset, deleted=int(deleted))
    found = [
        {
            "id": row.id,
            "title": row.title,
            "message_count": row.message_count,
            "last_activity": row.last_activity,
            "is_active": not deleted,
            "current_agent": row.current_agent,
            "status": "running" if row.is_running else waits.get(row.waits_for, "idle"),
        }
        for row in rows
    ]
    return found, int(await tx.value("count_sessions", owner=owner, deleted=int(deleted)))
