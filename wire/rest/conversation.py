"""The conversation with its places in the log, and its copies (docs/protocol.md, endpoints)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from wire.rest.sessions import StoredMessage
from wire.text import Text


class PlacedMessage(StoredMessage):
    """A message and where it lies in the log: behind the event `after_seq`, null where the log was empty."""

    position: int
    after_seq: int | None
    run_id: str | None


class MessagePage(BaseModel):
    """A part of a session's history, oldest first."""

    session_id: str
    messages: list[PlacedMessage]
    total: int
    limit: int
    offset: int


class ForkRequest(BaseModel):
    """Where a copy ends: before this message of the user; absent: the whole conversation is copied."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [{"before": "user_1"}]})

    before: Text | None = None


class Forked(BaseModel):
    """The new session."""

    id: str
    forked_from: str
    message_count: int
    current_agent: str
    title: str | None
