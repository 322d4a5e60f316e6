"""The wire: every message that a client sends and every chunk that it receives (docs/protocol.md, Messages and Chunks).

Scenarios such as S1: docs/scenarios.md.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, StrictInt, model_validator
from pydantic.json_schema import JsonSchemaValue

from errors import BadRequest
from wire.environment import EnvironmentDeclared
from wire.origins import cause
from wire.text import Text, quoted

ErrorCode = Literal[
    "bad_request",
    "session_unknown",
    "session_exists",
    "session_busy",
    "agent_unknown",
    "call_unknown",
    "approval_unknown",
    "rule_unknown",
    "call_settled",
    "approval_required",
    "approval_not_required",
    "digest_mismatch",
    "decision_invalid",
    "approval_expired",
    "tool_denied",
    "file_denied",
    "llm_unavailable",
    "llm_timeout",
    "llm_bad_reply",
    "limit_reached",
    "cancelled",
    "not_found",
    "not_ready",
    "internal",
]


class Message(BaseModel):
    """What all messages share; a key with null counts as absent."""

    model_config = ConfigDict(extra="ignore")
    required: ClassVar[tuple[str, ...]] = ("type",)
    """What clients must send: `api.dependencies.read_message` refuses a message without it, OpenAPI tells it."""
    example: ClassVar[dict[str, Any]] = {}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add what is required and an example to the schema."""
        schema = handler.resolve_ref_schema(handler(core))
        schema["required"] = list(cls.required)
        schema["examples"] = [cls.example]
        return schema


class UserMessage(Message):
    """A request or an answer of the user (S1-S3, S13, S18, S24)."""

    required = ("type", "content")
    example = {"type": "user_message", "content": "Read lib/a.dart"}

    type: Literal["user_message"] = "user_message"
    content: Text | None = None
    agent_type: Text | None = None
    environment: EnvironmentDeclared | None = None


class ToolResult(Message):
    """What came of a call that the client ran (S4, S6, S11, S12)."""

    required = ("type", "call_id")
    example = {"type": "tool_result", "call_id": "call_1", "result": {"success": True, "content": "void main() {}"}}

    type: Literal["tool_result"] = "tool_result"
    call_id: Text | None = None
    result: Any = None
    error: Text | None = None


class SwitchAgent(Message):
    """The user chooses another agent (S14)."""

    required = ("type", "agent_type")
    example = {"type": "switch_agent", "agent_type": "debug", "content": "Why does the login fail?"}

    type: Literal["switch_agent"] = "switch_agent"
    agent_type: Text | None = None
    content: Text | None = None
    reason: Text | None = None


Executor = Annotated[Text, Field(max_length=64)]
"""An id that a client chose for itself: the client that decides runs the call (docs/protocol.md, Several clients)."""


class HitlDecision(Message):
    """The user's decision on one pending call (S5, S7-S10)."""

    required = ("type", "call_id", "decision")
    example = {"type": "hitl_decision", "call_id": "call_1", "decision": "reject", "feedback": "Not that file"}

    type: Literal["hitl_decision"] = "hitl_decision"
    call_id: Text | None = None
    decision: Text | None = None
    modified_arguments: dict[str, Any] | None = None
    feedback: Text | None = None
    remember: Text | None = None
    remember_option: Text | None = None
    digest: Text | None = None
    executor: Executor | None = None

    def check_values(self) -> None:
        """Raise BadRequest for a value that the protocol does not know, or that is missing beside it."""
        if self.decision not in ("approve", "edit", "reject"):
            raise BadRequest(f"Invalid HITL decision: {quoted(self.decision)}")
        if self.decision == "edit" and self.modified_arguments is None:
            raise BadRequest("modified_arguments is required for edit")
        if self.remember not in (None, "none", "session"):
            raise BadRequest(f"Invalid remember: {quoted(self.remember)}; use none or session")


def with_feedback(raw: Any) -> Any:
    """Read `modification_request`, the name that clients of the original send, where `feedback` is absent."""
    if isinstance(raw, dict) and raw.get("feedback") is None and raw.get("modification_request") is not None:
        return {**raw, "feedback": raw["modification_request"]}
    return raw


class PlanDecision(Message):
    """The user's decision on a plan (S20-S22)."""

    required = ("type", "approval_request_id", "decision")
    example = {"type": "plan_decision", "approval_request_id": "plan-approval-68cc1f", "decision": "approve"}

    type: Literal["plan_decision"] = "plan_decision"
    approval_request_id: Text | None = None
    decision: Text | None = None
    feedback: Text | None = None
    executor: Executor | None = None

    _read_modification_request = model_validator(mode="before")(with_feedback)

    def check_values(self) -> None:
        """Raise BadRequest for a value that the protocol does not know, or that is missing beside it."""
        if self.decision not in ("approve", "reject", "modify"):
            raise BadRequest(f"Invalid plan approval decision: {quoted(self.decision)}")
        if self.decision == "modify" and not (self.feedback or "").strip():
            raise BadRequest("feedback is required for modify")


AnyMessage = UserMessage | ToolResult | SwitchAgent | HitlDecision | PlanDecision
MESSAGES: dict[str, type[AnyMessage]] = {
    "user_message": UserMessage,
    "tool_result": ToolResult,
    "switch_agent": SwitchAgent,
    "hitl_decision": HitlDecision,
    "plan_decision": PlanDecision,
}


class MessageRequest(BaseModel):
    """The body of `POST /agent/message/stream`; `message` is dispatched on its `type` afterwards."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [{"session_id": "7f0c2b1e", "protocol_version": 2, "message": UserMessage.example}]
        },
    )

    session_id: str | None = Field(None, description="1 to 64 characters of A-Z a-z 0-9 _ . -; absent: a new session")
    protocol_version: StrictInt | None = Field(None, description="1 or 2; absent: 1. It may stand in `message` too")
    message: dict[str, Any]


# --- chunks ---------------------------------------------------------------------------------------------------------


class Chunk(BaseModel):
    """One server-sent chunk: always all fields in this order, null when unused (docs/protocol.md, Chunks)."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)

    type: str
    content: str | None = None
    token: str | None = None
    is_final: bool = False
    session_id: str | None = None
    call_id: str | None = None
    tool_name: str | None = None
    arguments: dict[str, Any] | None = None
    requires_approval: bool = False
    approval_request_id: str | None = None
    plan_id: str | None = None
    plan_summary: dict[str, Any] | None = None
    error: str | None = None
    metadata: dict[str, Any] | None = None


class SessionInfo(Chunk):
    """First chunk of a request that created its session."""

    type: Literal["session_info"] = "session_info"
    session_id: str


class AgentSwitched(Chunk):
    """Another agent is current."""

    type: Literal["agent_switched"] = "agent_switched"
    content: str
    metadata: dict[str, Any]


class AssistantMessage(Chunk):
    """Text of the agent: a delta (version 2) or the full text."""

    type: Literal["assistant_message"] = "assistant_message"


class ToolCall(Chunk):
    """A call that the client executes, after a decision when `requires_approval`."""

    type: Literal["tool_call"] = "tool_call"
    is_final: bool = True
    call_id: str
    tool_name: str
    arguments: dict[str, Any]


class Status(Chunk):
    """A note on what happened; `content` is for people, `metadata` for programs."""

    type: Literal["status"] = "status"
    content: str
    metadata: dict[str, Any]


class PlanCreated(Chunk):
    """A plan was made; `content` shows it as Markdown."""

    type: Literal["plan_created"] = "plan_created"
    content: str
    plan_id: str
    metadata: dict[str, Any]


class PlanApprovalRequired(Chunk):
    """The plan waits for its decision."""

    type: Literal["plan_approval_required"] = "plan_approval_required"
    content: str = "Plan requires your approval before execution"
    is_final: bool = True
    approval_request_id: str
    plan_id: str
    plan_summary: dict[str, Any]
    metadata: dict[str, Any]


class PlanRejected(Chunk):
    """The plan was dropped."""

    type: Literal["plan_rejected"] = "plan_rejected"
    is_final: bool = True
    metadata: dict[str, Any]


class PlanModificationRequested(Chunk):
    """The architect is revising the plan from the user's feedback."""

    type: Literal["plan_modification_requested"] = "plan_modification_requested"
    metadata: dict[str, Any]


class SubtaskCompleted(Chunk):
    """One subtask of a plan really finished."""

    type: Literal["subtask_completed"] = "subtask_completed"
    content: str
    is_final: bool = True
    metadata: dict[str, Any]


class ExecutionCompleted(Chunk):
    """The plan's execution ended, completed or failed."""

    type: Literal["execution_completed"] = "execution_completed"
    content: str
    is_final: bool = True
    metadata: dict[str, Any]


class Error(Chunk):
    """The turn met a problem; `error` equals `content`, one plain sentence."""

    type: Literal["error"] = "error"
    is_final: bool = True
    error: str
    metadata: dict[str, Any]


class Done(Chunk):
    """The last chunk of every request in version 2."""

    type: Literal["done"] = "done"
    is_final: bool = True
    metadata: dict[str, Any]


AnyChunk = Annotated[
    SessionInfo
    | AgentSwitched
    | AssistantMessage
    | ToolCall
    | Status
    | PlanCreated
    | PlanApprovalRequired
    | PlanRejected
    | PlanModificationRequested
    | SubtaskCompleted
    | ExecutionCompleted
    | Error
    | Done,
    Field(discriminator="type"),
]

Outcome = Literal[
    "completed", "awaiting_tool", "awaiting_approval", "awaiting_answer", "awaiting_plan", "cancelled", "failed"
]


def error_chunk(
    code: str, message: str, *, retryable: bool = False, retry_after_s: float | None = None, **metadata: Any
) -> Error:
    """Build the error chunk for a wire code (docs/protocol.md, error codes)."""
    told = {**cause(code, retryable=retryable, retry_after_s=retry_after_s), **metadata}
    return Error(content=message, error=message, metadata=told)
