"""The policy's verdict on a call, without running it (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wire.environment import EnvironmentDeclared


class PolicyCheck(BaseModel):
    """A call to be judged without being made."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [{"agent": "coder", "tool": "execute_command", "arguments": {"command": "git status"}}]
        },
    )

    agent: str
    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    environment: EnvironmentDeclared | None = None
    session_id: str | None = None


class ReasonView(BaseModel):
    """Why a call was judged as it was; `span` marks the place in the command."""

    code: str
    text: str
    span: list[int] | None
    segment: int | None
    rule: str | None


class SegmentView(BaseModel):
    """One simple command of a line."""

    argv: list[str]
    verdict: Literal["allow", "ask", "deny"]


class RememberOptionView(BaseModel):
    """A grant that may be given for the rest of the session."""

    id: str
    label: str
    rule: dict[str, Any]


class MatchView(BaseModel):
    """A rule that matched, and why it exists."""

    id: str
    why: str


class PolicyVerdict(BaseModel):
    """What the policy says of a call (docs/protocol.md, Chunks)."""

    verdict: Literal["allow", "ask", "deny"]
    danger: Literal["low", "normal", "high"]
    reasons: list[ReasonView]
    segments: list[SegmentView]
    matched: list[MatchView]
    path: str | None
    path_class: str | None
    remember_options: list[RememberOptionView]
    policy_version: str
    execution: dict[str, Any] | None
