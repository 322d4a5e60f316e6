"""The JSON of the metric views that the original had (docs/protocol.md, Metric views)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class AgentFigures(BaseModel):
    """The model calls of an agent."""

    count: int
    total_duration_ms: int
    success_count: int
    failure_count: int


class ToolFigures(BaseModel):
    """How often a tool was called, and how that ended."""

    requested: int
    completed: int
    failed: int
    requires_approval: int


class Figures(BaseModel):
    """Counts by agent, tool and error code."""

    agent_switches: dict[str, int]
    agent_processing: dict[str, AgentFigures]
    tool_executions: dict[str, ToolFigures]
    hitl_decisions: dict[str, dict[str, int]]
    errors: dict[str, dict[str, int]]


class MetricsOverview(BaseModel):
    """All metrics of an owner."""

    metrics: Figures
    computed: dict[str, float]
    timestamp: str


class RequestFigures(BaseModel):
    """One model call."""

    timestamp: str
    model: str | None
    duration_ms: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    has_tool_calls: bool
    success: bool
    error: str | None


class SessionMetrics(BaseModel):
    """The model calls of one session."""

    session_id: str
    total_requests: int
    successful_requests: int
    failed_requests: int
    total_duration_ms: int
    average_duration_ms: float
    total_prompt_tokens: int
    total_completion_tokens: int
    total_tokens: int
    average_tokens_per_request: float
    requests_with_tools: int
    requests: list[RequestFigures]


class NoMetrics(BaseModel):
    """A session without a model call, or none at all."""

    error: str


class MeasuredSessions(BaseModel):
    """The sessions that have called a model."""

    sessions: list[str]
    count: int


class NotedEvent(BaseModel):
    """One entry of the original's audit log; `correlation_id` is the run."""

    timestamp: str
    event_type: str
    event_id: str
    session_id: str
    correlation_id: str | None
    agent: str | None
    call_id: str | None
    tool_name: str | None
    details: dict[str, Any]
    error: str | None


class NotedEvents(BaseModel):
    """The last entries, oldest first, and what they were filtered by."""

    audit_log: list[NotedEvent]
    count: int
    filters: dict[str, str | int | None]


class EventStats(BaseModel):
    """How many events were published; a handler is a run."""

    total_published: int
    successful_handlers: int
    failed_handlers: int
    last_event_time: str | None
    success_rate: float
