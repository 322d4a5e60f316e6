"""What waits for a person in all sessions, and what a write would change (docs/protocol.md, endpoints)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from wire.rest.approvals import PendingApproval


class Change(BaseModel):
    """What a call would write; `against` says which old text the diff is against.

    `last_read` and `last_write`: the last whole text of the path in this session; `quoted`: the piece that the call
    replaces; `nothing`: no old text is known, all lines are new.
    """

    call_id: str
    path: str
    against: Literal["last_read", "last_write", "quoted", "nothing"]
    diff: list[str]
    """The lines of a unified diff without its head; at most 2,000."""
    is_cut: bool


class Question(BaseModel):
    """A question of an agent."""

    question: str
    suggestions: list[str]


class Waiting(PendingApproval):
    """One approval, plan or question of a session; a question is answered by the next `user_message`."""

    request_type: Literal["tool", "plan", "question"]  # type: ignore[assignment] # questions are listed here too
    session_id: str
    session_title: str | None
    agent: str
    question: Question | None
    change: Change | None


class Pending(BaseModel):
    """Everything that waits for the caller, oldest first; `is_cut` when there is more than the limit."""

    pending: list[Waiting]
    count: int
    is_cut: bool
