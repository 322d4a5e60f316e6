"""What waits for a decision, the decisions, the audit and the remembered rules (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from wire.protocol import with_feedback
from wire.text import Text


class PendingApproval(BaseModel):
    """One call or plan that waits for its decision."""

    request_id: str
    request_type: Literal["tool", "plan"]
    subject: str
    details: dict[str, Any]
    reason: str
    created_at: str
    call_id: str
    tool_name: str
    arguments: dict[str, Any]
    digest: str
    expires_at: str | None


class PendingApprovals(BaseModel):
    """Everything that waits for a decision."""

    session_id: str
    pending_approvals: list[PendingApproval]
    count: int


class DecisionRequest(BaseModel):
    """The REST twin of hitl_decision and plan_decision."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"decision": "approve", "remember": "session"}]}
    )

    decision: Text | None = None
    modified_arguments: dict[str, Any] | None = None
    feedback: Text | None = None
    remember: Text | None = None
    remember_option: Text | None = None
    digest: Text | None = None

    _read_modification_request = model_validator(mode="before")(with_feedback)


class DecisionTaken(BaseModel):
    """A decision that stands; `continuing` means that a run goes on."""

    call_id: str
    tool_name: str
    decision: str
    status: str
    remembered: bool
    continuing: bool


class AuditRow(BaseModel):
    """One audit entry."""

    id: int
    at: str
    event: str
    actor: str
    run_id: str | None
    agent: str | None
    call_id: str | None
    tool_name: str | None
    details: dict[str, Any]


class AuditPage(BaseModel):
    """One page of a session's audit, oldest first."""

    session_id: str
    entries: list[AuditRow]
    total: int


class RuleRow(BaseModel):
    """One remembered grant."""

    id: str
    tool_name: str
    label: str
    rule: dict[str, Any]
    created_at: str
    call_id: str


class RuleList(BaseModel):
    """What a session remembers."""

    session_id: str
    rules: list[RuleRow]
    count: int


class RulesRemoved(BaseModel):
    """How many rules were revoked."""

    removed: int
