"""The input of a verdict: the call, the rights of the agent, and what is known about the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Profile = Literal["standard", "strict"]
Writes = Literal["any", "markdown", "none"]

POSIX_SHELLS = frozenset({"bash", "zsh", "sh", "dash"})
MAX_PROJECT_RULES = 50


@dataclass(frozen=True)
class Call:
    """One tool call of a model, as the model gave it."""

    tool: str
    arguments: Mapping[str, Any]
    as_text: bool = False
    """Whether the model wrote it into its text instead of making a call: then everything but a read needs approval."""


@dataclass(frozen=True)
class Rights:
    """What the roster grants to one agent."""

    agent: str
    title: str
    """The agent's name in sentences, such as `Coder`."""
    tools: frozenset[str]
    writes: Writes
    only: str = ""
    """The purpose of an agent without the right to write, to complete `<Title> agent can only …`."""
    writers: str = ""
    """The agents that may write any file, such as `Coder`; empty where there is none."""
    runners: str = ""
    """The agents that may run commands, such as `Coder or Debug`."""

    @property
    def who_writes(self) -> str:
        """Return the sentence that names the agents that change code; empty where none does."""
        return f"For code changes, please switch to {self.writers} agent." if self.writers else ""

    @property
    def who_runs(self) -> str:
        """Return the sentence that names the agents that run commands; empty where none does."""
        return f"For running commands, please switch to {self.runners} agent." if self.runners else ""


@dataclass(frozen=True)
class Environment:
    """What the client declared about the machine; every part may be missing."""

    os: str | None = None
    shell: str | None = None
    workspace_root: str | None = None
    has_git: bool | None = None
    rules: tuple[Mapping[str, Any], ...] = ()
    """The project's rules, untrusted: they can only restrict."""
    tools: frozenset[str] = frozenset()
    """The names of tools that the client runs beyond those of every client."""

    @classmethod
    def read(cls, declared: Mapping[str, Any] | None) -> Environment:
        """Read a client's declaration; a value of the wrong shape counts as not declared."""
        if not isinstance(declared, Mapping):
            return cls()
        rules = declared.get("rules")
        tools = declared.get("tools")
        has_git = declared.get("has_git")
        return cls(
            os=_text(declared.get("os"), 40, lower=True),
            shell=_text(declared.get("shell"), 40, lower=True),
            workspace_root=_text(declared.get("workspace_root"), 1024, lower=False),
            has_git=has_git if isinstance(has_git, bool) else None,
            tools=frozenset(name for name in tools if isinstance(name, str))
            if isinstance(tools, list | tuple)
            else frozenset(),
            rules=tuple(rule for rule in rules[:MAX_PROJECT_RULES] if isinstance(rule, Mapping))
            if isinstance(rules, list | tuple)
            else (),
        )


def _text(value: object, longest: int, *, lower: bool) -> str | None:
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        return None
    return value.strip().lower() if lower else value


@dataclass(frozen=True)
class Facts:
    """The facts beside the call."""

    environment: Environment = field(default_factory=Environment)
    session_rules: tuple[Mapping[str, Any], ...] = ()
    """The `rule` objects of remembered options, as they were offered."""
    human: bool = True
    """Whether a person can answer an approval request."""
