"""A new session from the conversation of another one, up to a message; its first turn rebuilds the thread from it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from langchain_core.utils.uuid import uuid7

from agents.roster import ROSTER
from storage.database import Transaction, stamp
from storage.session_state import Batch, NewEvents, SessionChange
from storage.tables import messages, runs, sessions
from storage.tables.messages import MessageRecord
from storage.tables.sessions import Session


@dataclass(frozen=True)
class Fork:
    """The new session and what it holds."""

    session: Session
    message_count: int


async def fork(tx: Transaction, source: Session, history: list[MessageRecord]) -> Fork:
    """Copy this history into a new session of the same owner; grants and pending decisions stay behind."""
    session_id = str(uuid.uuid4())
    spoke_last = next((m.name for m in reversed(history) if m.role == "assistant" and m.name in ROSTER), None)
    agent = spoke_last or source.current_agent
    title = f"Fork of {source.title}"[:500] if source.title else None
    created = SessionChange(source.owner, title=title, environment=source.environment, agent=agent, chosen_by="router")
    run, batch = runs.ended_early(str(uuid7()), session_id, history, agent), Batch(tx, session_id)
    await messages.append(batch, session_id, history, run_id=run.id)
    assert await batch.write(created, NewEvents("", [])) is not None, "a random id is free"
    await runs.insert_ended(tx, run, run.status, now=stamp())
    return Fork(await sessions.find(tx, session_id, source.owner), len(history))
