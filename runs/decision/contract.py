"""What a decision is given, and the effects that it gives: the rows of one transaction, and the chunks of the client.

Scenarios such as S26: docs/scenarios.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.utils.uuid import uuid7

from agents.roster import agents_of
from errors import AgentRuntimeError
from policy.rules import Rules
from settings import Settings
from storage.session_state import SessionState
from storage.tables.audit import AuditEntry, AuditEvent
from storage.tables.calls import QUESTIONS, CallRecord
from storage.tables.messages import MessageRecord
from storage.tables.plans import PlanRecord
from storage.tables.rules import SessionRule
from storage.tables.runs import RunStatus
from storage.tables.spending import Allowance
from telemetry.tracing import traceparent
from wire.chunks import done_chunk
from wire.protocol import Chunk, HitlDecision, Outcome, PlanDecision, SwitchAgent, ToolResult, UserMessage

NO_USAGE: dict[str, int | None] = {
    "llm_calls": 0,
    "prompt_tokens": None,
    "completion_tokens": None,
    "total_tokens": None,
}
_WAITS: tuple[tuple[frozenset[str], Outcome], ...] = (
    (frozenset({"approval"}), "awaiting_approval"),
    (QUESTIONS, "awaiting_answer"),
    (frozenset({"plan_review"}), "awaiting_plan"),
    (frozenset({"ide_call"}), "awaiting_tool"),
)


@dataclass(frozen=True)
class ChooseAgent:
    """The REST twin of a switch: it is refused where the message would only note the switch."""

    agent: str
    reason: str | None
    confidence: str


@dataclass(frozen=True)
class Cancel:
    """The user stops what the session does or waits for (S26)."""


@dataclass(frozen=True)
class Expire:
    """The time of undecided approvals and plans is over (S27)."""


SessionMessage = UserMessage | SwitchAgent | ToolResult | HitlDecision | PlanDecision | ChooseAgent | Cancel | Expire
WAITS_FOR_A_RUN = (UserMessage, SwitchAgent, ChooseAgent)
"""What waits in order of arrival while a run of the session is running (S28)."""


def _id() -> str:
    return str(uuid7())


@dataclass(frozen=True)
class Request:
    """One message on its way into its session; its fresh ids stay the same when it is decided again."""

    session_id: str
    message: SessionMessage
    owner: str | None
    """Whose sessions it may touch; None for the runtime's own clock."""
    version: int = 2
    via: str | None = None
    """The kind of client, for the audit."""
    request_id: str = field(default_factory=_id)
    run_id: str = field(default_factory=_id)
    trace: str | None = field(default_factory=traceparent)
    """The span that the run belongs to, over all its attempts and processes."""
    message_id: str = field(default_factory=lambda: f"user_{uuid7().hex}")
    rule_id: str = field(default_factory=lambda: uuid7().hex)


@dataclass(frozen=True)
class Terms:
    """What the operator chose, as far as decisions depend on it."""

    rules: Rules
    agents: tuple[str, ...]
    """The agents of this mode, in the order of the roster."""
    is_strict: bool
    """Whether a result needs a decision before it (APPROVAL_MODE=strict)."""
    max_messages: int
    max_switches: int

    @classmethod
    def of(cls, settings: Settings, rules: Rules) -> Terms:
        """Read them from the settings."""
        return cls(
            rules=rules,
            agents=tuple(agent.name for agent in agents_of(multi_agent=settings.multi_agent_mode)),
            is_strict=settings.approval_mode == "strict",
            max_messages=settings.max_messages,
            max_switches=settings.max_switches,
        )


@dataclass(frozen=True)
class Activity:
    """The session was used: its last activity, its first title, the environment that its client declared."""

    title: str | None = None
    environment: dict[str, Any] | None = None


@dataclass(frozen=True)
class AgentChange:
    """Another agent is current; `switches` are added to the session's count."""

    agent: str
    chosen_by: str
    switches: int


@dataclass(frozen=True)
class StartRun:
    """A new run claims the session; `journal` is the input from which it can be started again."""

    journal: dict[str, Any]


@dataclass(frozen=True)
class ResumeRun:
    """The paused run claims the session; `answers` are the settled calls of its round."""

    answers: tuple[CallRecord, ...]


@dataclass(frozen=True)
class RunEnd:
    """A paused run ends without being resumed: the outcome of its turn, and why."""

    outcome: Outcome
    code: str


@dataclass(frozen=True)
class CloseRun:
    """The running run ends or pauses: the outcome of its turn, and the code of what went wrong."""

    status: RunStatus
    outcome: Outcome
    code: str | None = None


@dataclass(frozen=True)
class ReleaseRun:
    """The running run is handed over to another worker."""


@dataclass(frozen=True)
class NewPlan:
    """A plan that waits for its review; it replaces another one of the session, or none."""

    call_id: str
    summary: Mapping[str, Any]
    replaces: str | None


@dataclass(frozen=True)
class PlanProgress:
    """How far a plan has come."""

    plan_id: str
    summary: Mapping[str, Any]
    status: str


@dataclass(frozen=True)
class Confirmation:
    """A decision that stands: what the status chunk and the REST twin say about it."""

    call_id: str
    tool_name: str
    decision: str
    status: str
    remembered: bool = False


@dataclass(frozen=True)
class Effects:
    """What one request, or the end of an attempt, does to its session. Rows are given as they stand afterwards."""

    must_wait: bool = False
    """Nothing else is set: the request is decided again when the running run has ended."""
    decide_again: bool = False
    """The request is decided on the session as these effects leave it, in the same transaction."""
    creates_session: bool = False
    activity: Activity | None = None
    agent: AgentChange | None = None
    plan: PlanRecord | PlanProgress | None = None
    calls: tuple[CallRecord, ...] = ()
    rules: tuple[SessionRule, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    """How far the user lets used-up budgets go."""
    messages: tuple[MessageRecord, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    ends_run: RunEnd | None = None
    """How the paused run ends."""
    claims: StartRun | ResumeRun | None = None
    closes: CloseRun | ReleaseRun | None = None
    """How the run stands after an attempt of it; the fields up to `new_plans` are what an attempt leaves besides."""
    new_calls: tuple[Mapping[str, Any], ...] = ()
    llm_calls: tuple[Mapping[str, Any], ...] = ()
    new_plans: tuple[NewPlan, ...] = ()
    cancels_run: bool = False
    """The worker of the running run is asked to stop it."""
    chunks: tuple[Chunk, ...] = ()
    request_id: str = ""
    """The request that the chunks answer."""
    refusal: AgentRuntimeError | None = None
    """Why the request is refused although something is written."""
    confirmation: Confirmation | None = None

    @property
    def needs_hold(self) -> bool:
        """Whether they are written by more than one statement, and so only while the session is held."""
        return self.decide_again or bool(self.allowances)

    def then(self, following: Effects) -> Effects:
        """Both, in this order; where only one row can stand, the following one does."""
        agent = following.agent or self.agent
        if self.agent is not None and following.agent is not None:
            agent = replace(following.agent, switches=self.agent.switches + following.agent.switches)
        joined = {
            name: getattr(self, name) + getattr(following, name)
            for name in ("calls", "rules", "allowances", "messages", "audit", "chunks")
        }
        kept = {
            name: getattr(following, name) or getattr(self, name)
            for name in ("creates_session", "activity", "plan", "ends_run", "claims", "request_id", "refusal")
        }
        return replace(following, agent=agent, **joined, **kept)


def answered(request: Request, chunks: Sequence[Chunk], outcome: Outcome) -> Effects:
    """Answer a request without a run: these chunks, then `done`."""
    return Effects(chunks=(*chunks, done_chunk(outcome, NO_USAGE)), request_id=request.request_id)


def resumed(request: Request, round_now: Sequence[CallRecord], chunks: Sequence[Chunk] = ()) -> Effects:
    """Let the paused run go on, whose round has no open call any more."""
    return Effects(claims=ResumeRun(tuple(round_now)), chunks=tuple(chunks), request_id=request.request_id)


def round_with(view: SessionState, changed: CallRecord) -> tuple[CallRecord, ...]:
    """The round of the paused run with one call as it stands now."""
    return tuple(changed if record.call_id == changed.call_id else record for record in view.round)


def waits_for(records: Sequence[CallRecord]) -> Outcome:
    """What a session waits for: the first of approval, answer, plan, tool (docs/protocol.md, Messages)."""
    return outcome_of(
        {"ide_call" if r.kind == "approval" and r.state != "pending" else r.kind for r in records if r.is_open}
    )


def outcome_of(kinds: set[Any]) -> Outcome:
    """What a session waits for in which calls of these kinds are open."""
    return next((outcome for waiting, outcome in _WAITS if kinds & waiting), "completed")


def audited(
    event: AuditEvent, record: CallRecord, now: str, *, actor: str, details: dict[str, Any] | None = None
) -> AuditEntry:
    """An audit entry about one call."""
    return AuditEntry(
        event,
        actor=actor,
        agent=record.agent,
        call_id=record.call_id,
        tool_name=record.tool_name,
        details=details or {},
        run_id=record.run_id,
        at=now,
    )
