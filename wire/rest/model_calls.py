"""The model calls of a session, and what each was given, rebuilt (docs/protocol.md, endpoints)."""

from __future__ import annotations

from pydantic import BaseModel

from wire.rest.sessions import StoredMessage


class ModelCallRow(BaseModel):
    """One model call: what it was for, what it cost, how it ended."""

    id: str
    run_id: str
    agent: str
    purpose: str
    model: str | None
    started_at: str
    duration_ms: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    """The prompt tokens that the server had in its cache; None where it did not say."""
    cost_usd: float | None
    """By the prices file; None for a model without a price."""
    tool_calls: int
    retries: int
    outcome: str
    error: str | None


class ModelCalls(BaseModel):
    """The model calls of a session, oldest first."""

    session_id: str
    model_calls: list[ModelCallRow]
    count: int


class GivenMessage(BaseModel):
    """A message as the model read it."""

    role: str
    name: str | None
    content: str


class ModelCallView(ModelCallRow):
    """A model call with what it was given; what cannot be rebuilt truly is said in `cautions`."""

    prompt: str | None
    tools: list[str]
    messages: list[GivenMessage]
    reply: StoredMessage | None
    cautions: list[str]
