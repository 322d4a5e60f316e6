"""A new session from the conversation of another one, up to a message; its first turn rebuilds the thread from it."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_core.utils.uuid import uuid7

from agents.roster import ROSTER
from storage.clock import stamp
from storage.database import Transaction
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
    session_id = str(uuid7())
    is_new = await sessions.create(tx, session_id, source.owner)
    assert is_new, "a random id is free"
    title = f"Fork of {source.title}"[:500] if source.title else None
    await sessions.touch(tx, session_id, title=title, environment=source.environment)
    spoke_last = next((m.name for m in reversed(history) if m.role == "assistant" and m.name in ROSTER), None)
    agent = spoke_last or source.current_agent
    await sessions.set_agent(tx, session_id, agent, "router", switches=0)
    run = runs.ended_early(str(uuid7()), session_id, history, agent)
    await runs.insert_ended(tx, run, run.status, now=stamp())
    await messages.append(tx, session_id, history, run_id=run.id)
    return Fork(await sessions.find(tx, session_id, source.owner), len(history))
