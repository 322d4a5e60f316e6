"""The JSON of the REST endpoints (protocol section 6): requests and replies, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wire.protocol import EnvironmentDeclared, ErrorCode, Text

SessionStatus = Literal["idle", "running", "awaiting_tool", "awaiting_approval", "awaiting_answer", "awaiting_plan"]


class Problem(BaseModel):
    """A refused request: one plain sentence and its code (section 1, HTTP errors)."""

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
    """The sliding minute is full."""

    error: Literal["Too many requests"] = "Too many requests"
    limit: int
    window: Literal["1 minute"] = "1 minute"
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


class Health(BaseModel):
    """The process lives."""

    status: Literal["healthy"] = "healthy"
    service: Literal["agent-runtime"] = "agent-runtime"
    version: str


class Readiness(BaseModel):
    """Whether the process can take work."""

    status: Literal["ready", "degraded", "not_ready"]
    checks: dict[str, str]


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
    """Who is current in a session."""

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


class SessionCreate(BaseModel):
    """A new session, with an id of the client's if it wants."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [{"session_id": "my-session"}]})

    session_id: str | None = None


class SessionCreated(BaseModel):
    """The new session."""

    id: str
    message_count: int = 0
    created_at: str
    is_active: bool = True
    current_agent: str


class SessionRow(BaseModel):
    """One session of the list."""

    id: str
    title: str | None
    message_count: int
    last_activity: str
    is_active: bool
    current_agent: str
    status: SessionStatus


class SessionList(BaseModel):
    """One page of the owner's sessions; `total` counts all of them."""

    sessions: list[SessionRow]
    total: int
    limit: int
    offset: int


class FunctionCall(BaseModel):
    """The function of a call, in OpenAI's form."""

    name: str
    arguments: str


class CallView(BaseModel):
    """A call of an assistant message, in OpenAI's form."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class StoredMessage(BaseModel):
    """One message of a session with its time."""

    id: str
    role: str
    content: str
    name: str | None
    tool_call_id: str | None
    tool_calls: list[CallView] | None
    created_at: str


class SessionView(BaseModel):
    """One session in full."""

    id: str
    title: str | None
    description: str | None
    message_count: int
    messages: list[StoredMessage] | None
    last_activity: str
    is_active: bool
    created_at: str
    duration_seconds: float


class SessionEnvelope(BaseModel):
    """The envelope of a session."""

    session: SessionView


class SessionPatch(BaseModel):
    """What may be changed of a session; null clears."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [{"title": "Login form"}]})

    title: Text | None = Field(None, max_length=500)
    description: Text | None = Field(None, max_length=2000)


class SessionDeleted(BaseModel):
    """The session is gone."""

    id: str
    deleted: bool = True
    hard: bool


class HistoryMessage(BaseModel):
    """One message; name, tool_call_id and tool_calls only when set."""

    role: str
    content: str
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[CallView] | None = None


class AgentHop(BaseModel):
    """One switch in the history."""

    model_config = ConfigDict(populate_by_name=True)

    from_: str | None = Field(alias="from")
    to: str | None
    reason: str | None
    timestamp: str


class History(BaseModel):
    """The whole conversation."""

    session_id: str
    messages: list[HistoryMessage]
    message_count: int
    last_activity: str
    current_agent: str
    agent_history: list[AgentHop]


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


class DecisionTaken(BaseModel):
    """A decision that stands; `continuing` means that a run goes on."""

    call_id: str
    tool_name: str
    decision: str
    status: str
    remembered: bool
    continuing: bool


class CancelResult(BaseModel):
    """What a cancel did."""

    session_id: str
    cancelled: bool
    run_id: str | None
    settled_calls: list[str]


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
    """What the policy says of a call (section 4, explanation)."""

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
