"""Runs over all sessions (docs/protocol.md, endpoints)."""

from __future__ import annotations

from pydantic import BaseModel


class GivenUpRun(BaseModel):
    """A run that no attempt could finish; `reason` is for the operator, null where the attempts' processes ended."""

    run_id: str
    session_id: str
    reason: str | None
    attempts: int
    started_at: str
    ended_at: str


class GivenUpRuns(BaseModel):
    """The newest first."""

    runs: list[GivenUpRun]
    count: int
