"""Sessions, their history and their cancel (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wire.text import Text

SessionStatus = Literal["idle", "running", "awaiting_tool", "awaiting_approval", "awaiting_answer", "awaiting_plan"]


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


class CallOutcome(BaseModel):
    """What came of one tool call."""

    call_id: str
    tool_name: str
    state: str
    result: Any
    error: str | None


class CancelResult(BaseModel):
    """What a cancel did."""

    session_id: str
    cancelled: bool
    run_id: str | None
    settled_calls: list[str]
