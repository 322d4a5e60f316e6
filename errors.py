"""Every error of the runtime in one tree, each with its wire code and HTTP status."""

from __future__ import annotations

from typing import Any, ClassVar


class AgentRuntimeError(Exception):
    """Something went wrong in the agent runtime."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, **details: Any) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])
        self.details = details

    @property
    def message(self) -> str:
        """The sentence for a person: plain English, no internals."""
        return str(self.args[0])


class ConfigurationError(AgentRuntimeError):
    """The configuration is not usable: the message names the setting, file, rule or agent and what to change."""


class BadRequest(AgentRuntimeError):
    """The request is not well formed (docs/protocol.md, Messages)."""

    code = "bad_request"
    status = 400


class AgentUnknown(AgentRuntimeError):
    """No such agent in this mode."""

    code = "agent_unknown"
    status = 400


class SessionRefusal(AgentRuntimeError):
    """The state of the session does not allow this; version 1 reads it as an `error` chunk (docs/protocol.md)."""


class SessionUnknown(SessionRefusal):
    """No such session."""

    code = "session_unknown"
    status = 404

    @classmethod
    def named(cls, session_id: str) -> SessionUnknown:
        """Make the error that names the session, in the protocol's wording (docs/protocol.md, Messages)."""
        return cls(f"Session {session_id} not found")


class SessionExists(AgentRuntimeError):
    """A session with this id already exists."""

    code = "session_exists"
    status = 409


class SessionBusy(SessionRefusal):
    """Another run of this session did not end in time; send the message again."""

    code = "session_busy"
    status = 409
    retryable = True


class CallUnknown(SessionRefusal):
    """No such tool call in this session."""

    code = "call_unknown"
    status = 404


class ApprovalUnknown(SessionRefusal):
    """No such approval request in this session."""

    code = "approval_unknown"
    status = 404


class CallSettled(SessionRefusal):
    """Another decision was taken before."""

    code = "call_settled"
    status = 409


class ApprovalRequired(SessionRefusal):
    """This call waits for a decision: send a hitl_decision before its result."""

    code = "approval_required"
    status = 409


class ApprovalNotRequired(SessionRefusal):
    """This call never asked for an approval: send its tool_result."""

    code = "approval_not_required"
    status = 409


class DigestMismatch(SessionRefusal):
    """The decision is about something else than what is pending: read the pending approval again."""

    code = "digest_mismatch"
    status = 409


class DecisionInvalid(AgentRuntimeError):
    """The edited arguments are not acceptable; the approval stays pending."""

    code = "decision_invalid"
    status = 400


class LimitReached(AgentRuntimeError):
    """A limit of the runtime was reached."""

    code = "limit_reached"
    status = 400


class NotReady(AgentRuntimeError):
    """The database is not reachable at the moment; try again soon."""

    code = "not_ready"
    status = 503
    retryable = True


class RunLost(AgentRuntimeError):
    """Another worker has taken this run over; this one must not write any more."""


class StorageRefused(AgentRuntimeError):
    """The database serves others but not what this run has to store or read."""


class CheckpointOrder(AgentRuntimeError):
    """A checkpoint would be stored as older than the one it follows."""


class QueueFull(NotReady):
    """Too many requests wait for this session; send the request again."""


class Overloaded(NotReady):
    """The server has as much to do as it can; send the message again."""


class TooManyAtOnce(AgentRuntimeError):
    """An owner uses more of this process than it may (docs/settings.md): `details` name the limit and its kind."""

    code = "limit_reached"
    status = 429
    retryable = True


class ModelError(AgentRuntimeError):
    """The language model did not give a usable answer."""

    code = "llm_unavailable"
    retryable = True


class ModelUnavailable(ModelError):
    """The language model could not be reached. Please try again."""


class ModelTimeout(ModelError):
    """The language model took too long to answer. Please try again."""

    code = "llm_timeout"


class ModelBadReply(ModelError):
    """The language model gave an answer that could not be read. Please try again."""

    code = "llm_bad_reply"


class BudgetUsedUp(ModelError):
    """The budget is used up, so the language model was not asked."""

    code = "limit_reached"
    retryable = False


class ContextTooLong(ModelBadReply):
    """This conversation is too long for the language model. Start a new session, or ask for less at once."""

    retryable = False
