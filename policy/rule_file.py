"""The schema of a file of rules: unknown fields are refused, and each rule has its own examples."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_Token = Annotated[str, Field(min_length=1, max_length=200)]
_Sentence = Annotated[str, Field(min_length=1, max_length=300)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Example(_Strict):
    """A call that a rule must match, or must not."""

    path: str | None = None
    command: str | None = None


class ProjectRule(_Strict):
    """A rule without examples: what a client may send for its project."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,59}$")]
    tool: _Token | Annotated[list[_Token], Field(min_length=1, max_length=12)]
    path: Annotated[list[_Token], Field(min_length=1, max_length=20)] | None = None
    command: Annotated[list[_Token | list[_Token]], Field(min_length=1, max_length=10)] | None = None
    decision: Literal["allow", "ask", "deny"]
    why: _Sentence


class WrittenRule(ProjectRule):
    """A rule of a file, with examples that are checked when it is loaded."""

    match: list[Example] = Field(default_factory=list)
    not_match: list[Example] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_examples(self) -> Self:
        """A rule about all calls of a tool has nothing that an example could show not to match."""
        if (self.path or self.command) and not (self.match and self.not_match):
            raise ValueError("a rule with a path or a command needs match and not_match, one example each at least")
        return self


class RuleFile(_Strict):
    """A whole file of rules."""

    version: Literal[1]
    rule: list[WrittenRule] = Field(default_factory=list)
