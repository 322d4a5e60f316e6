"""What a decision reads: one request, and its session as the transaction sees it.

Scenarios such as S26: docs/scenarios.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from langchain_core.utils.uuid import uuid7

from agents.roster import agents_of
from policy.rules import Rules
from settings import Settings
from telemetry.tracing import traceparent
from wire.protocol import HitlDecision, PlanDecision, SwitchAgent, ToolResult, UserMessage


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
