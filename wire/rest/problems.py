"""Refusals as JSON bodies (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wire.protocol import ErrorCode


class Problem(BaseModel):
    """A refused request: one plain sentence and its code (docs/protocol.md, Transport)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"detail": "Session s1 not found", "code": "session_unknown"}]}
    )

    detail: str
    code: ErrorCode
    state: str = Field("", description="Of a settled call (call_settled): how it stands")


class Unauthorized(BaseModel):
    """The key is missing or wrong."""

    detail: Literal["unauthorized"] = "unauthorized"


class TooManyRequests(BaseModel):
    """The sliding minute is full, or the owner has too many runs or streams at once."""

    error: Literal["Too many requests"] = "Too many requests"
    limit: int
    window: Literal["1 minute", "at once"] = "1 minute"
    retry_after: int = Field(ge=1, le=60, description="Seconds to wait")


class Misfit(BaseModel):
    """One value of a request that has the wrong JSON type."""

    type: str
    loc: list[str | int]
    msg: str
    input: Any


class Invalid(BaseModel):
    """Values of a request that have the wrong JSON type."""

    detail: list[Misfit]
