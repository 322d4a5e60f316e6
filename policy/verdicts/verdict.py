"""The policy's verdict: a decision, its danger, and the reasons that a person or a model reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

Decision = Literal["allow", "ask", "deny"]
Danger = Literal["low", "normal", "high"]
DenialCode = Literal["tool_denied", "file_denied"]

ReasonCode = Literal[
    "agent.file_rule",
    "agent.tool",
    "call.text",
    "command.catastrophic",
    "command.change",
    "command.directory",
    "command.environment",
    "command.git_directory",
    "command.git_write",
    "command.install",
    "command.interactive",
    "command.interpreter",
    "command.network",
    "command.operand",
    "command.option",
    "command.outside",
    "command.project_code",
    "command.secret",
    "command.strict",
    "command.unknown",
    "command.wrapper",
    "human.absent",
    "path.absolute",
    "path.character",
    "path.directory",
    "path.empty",
    "path.length",
    "path.name",
    "path.outside",
    "path.protected",
    "path.repository",
    "path.runtime_config",
    "path.secret",
    "path.stream",
    "policy.error",
    "shell.assignment",
    "shell.background",
    "shell.backslash",
    "shell.brace",
    "shell.character",
    "shell.comment",
    "shell.control",
    "shell.expansion",
    "shell.glob",
    "shell.history",
    "shell.length",
    "shell.name",
    "shell.redirect",
    "shell.segments",
    "shell.subshell",
    "shell.substitution",
    "shell.syntax",
    "shell.tilde",
    "shell.undeclared",
    "shell.unsupported",
    "tool.arguments",
    "tool.default",
    "tool.unknown",
    "write.loss",
]
"""The closed list of codes; beside them only `rule.<id>`."""

REASON_CODES: frozenset[str] = frozenset(get_args(ReasonCode))

_STRICTNESS: dict[str, int] = {"allow": 0, "ask": 1, "deny": 2}
_DANGERS: dict[str, int] = {"low": 0, "normal": 1, "high": 2}


def strictest(decisions: Iterable[Decision]) -> Decision:
    """Return the strictest of the decisions; none at all is allow."""
    return max(decisions, key=_STRICTNESS.__getitem__, default="allow")


def highest(dangers: Iterable[Danger]) -> Danger:
    """Return the highest danger; none at all is low."""
    return max(dangers, key=_DANGERS.__getitem__, default="low")


@dataclass(frozen=True)
class Reason:
    """Why a call asks or is denied."""

    code: str
    """One of REASON_CODES, or `rule.<id>`."""
    text: str
    span: tuple[int, int] | None = None
    """Start and end of the cause in the raw command, in characters."""
    segment: int | None = None
    """The segment of the command that made the question."""
    rule: str | None = None
    """The id of the rule that matched."""

    def __post_init__(self) -> None:
        if self.code not in REASON_CODES and not self.code.startswith("rule."):
            raise ValueError(f"{self.code} is not a reason code")

    def as_wire(self) -> dict[str, Any]:
        """Return the JSON form."""
        span = None if self.span is None else list(self.span)
        return {"code": self.code, "text": self.text, "span": span, "segment": self.segment, "rule": self.rule}


@dataclass(frozen=True)
class Segment:
    """One simple command of a line, cut at `&& || ; |`."""

    argv: tuple[str, ...]
    verdict: Decision


@dataclass(frozen=True)
class RememberOption:
    """A grant that the person may give for the rest of the session."""

    id: str
    label: str
    rule: Mapping[str, Any]


@dataclass(frozen=True)
class Match:
    """A rule that matched the call, and why it exists."""

    id: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """The answer to one call; plain data, computed once and stored."""

    decision: Decision
    danger: Danger
    reasons: tuple[Reason, ...] = ()
    matched: tuple[Match, ...] = ()
    segments: tuple[Segment, ...] = ()
    remember_options: tuple[RememberOption, ...] = ()
    policy_version: str = ""
    path: str | None = None
    """The canonical path, when the call has one."""
    path_class: str | None = None
    execution: Mapping[str, Any] | None = field(default=None)
    """How the IDE should run a command that needs no approval."""
    ask_reason: str = ""
    """The tool's own sentence for an approval, such as `File modification requires user approval`."""

    def asked_about(self, loss: str) -> Verdict:
        """The same for a write that loses something: a person decides, and unattended clients reject this reason."""
        reason = Reason("write.loss", f"{loss[0].upper()}{loss[1:]}")
        return replace(self, decision="ask", reasons=(reason, *self.reasons))

    @property
    def denial_code(self) -> DenialCode:
        """Return the wire code of a denial: for a file, or for a tool or command."""
        code = self.reasons[0].code if self.reasons else "tool.default"
        return (
            "file_denied" if code == "agent.file_rule" or code.startswith("path.") or self._by_path() else "tool_denied"
        )

    def _by_path(self) -> bool:
        return bool(self.reasons) and self.reasons[0].code.startswith(("rule.", "human.")) and self.path is not None

    def as_wire(self) -> dict[str, Any]:
        """Return the JSON form of `POST /policy/check` and of a tool_call's metadata."""
        return {
            "verdict": self.decision,
            "danger": self.danger,
            "reasons": [reason.as_wire() for reason in self.reasons],
            "segments": [{"argv": list(segment.argv), "verdict": segment.verdict} for segment in self.segments],
            "matched": [{"id": match.id, "why": match.why} for match in self.matched],
            "path": self.path,
            "path_class": self.path_class,
            "remember_options": [
                {"id": option.id, "label": option.label, "rule": dict(option.rule)} for option in self.remember_options
            ],
            "policy_version": self.policy_version,
            "execution": None if self.execution is None else dict(self.execution),
        }
