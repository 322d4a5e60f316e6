"""Whether the process serves (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """The process lives."""

    status: Literal["healthy"] = "healthy"
    service: Literal["agent-runtime"] = "agent-runtime"
    version: str


class Readiness(BaseModel):
    """Whether the process can take work."""

    status: Literal["ready", "degraded", "not_ready"]
    checks: dict[str, str]
