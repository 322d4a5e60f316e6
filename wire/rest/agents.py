"""Agents and the switches between them (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from wire.text import Text


class AgentView(BaseModel):
    """One agent."""

    type: str
    name: str
    description: str
    allowed_tools: list[str]
    has_file_restrictions: bool


class AgentList(BaseModel):
    """The agents of this mode."""

    agents: list[AgentView]
    total: int


class SwitchView(BaseModel):
    """One switch of agents."""

    from_agent: str | None
    to_agent: str | None
    reason: str | None
    switched_at: str
    confidence: str | None


class AgentContextView(BaseModel):
    """The current agent of a session."""

    id: str
    session_id: str
    current_agent: str
    switch_count: int
    switch_history: list[SwitchView] | None
    last_switch_at: str | None
    created_at: str


class AgentContext(BaseModel):
    """The envelope of an agent context."""

    context: AgentContextView


class SwitchRequest(BaseModel):
    """Choose another agent."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"target_agent": "debug", "reason": "It crashes"}]}
    )

    target_agent: Text
    reason: Text | None = None
    confidence: Literal["high", "medium", "low"] = "high"
