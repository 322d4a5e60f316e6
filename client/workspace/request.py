"""One tool call as a client is to run it, and what the client itself found about it before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from client.workspace.folder import Located
from client.workspace.precondition import Precondition
from policy.verdicts.verdict import Danger, highest
from wire.protocol import Chunk


@dataclass(frozen=True)
class ToolRequest:
    """What a tool_call chunk asks of the client."""

    tool_name: str
    arguments: dict[str, Any]
    agent: str | None = None
    """The agent that makes the call, where the server tells; its file rules hold for what a link names, too."""
    is_asked: bool = False
    """Whether a person decides on the call; a call without approval gets a narrower sandbox."""
    execution: Mapping[str, Any] | None = None
    """The execution contract of a command that needs no approval (docs/policy.md)."""
    precondition: Precondition | None = None

    @classmethod
    def of(cls, call: Chunk) -> ToolRequest:
        """Read a tool_call chunk."""
        metadata = call.metadata or {}
        execution = metadata.get("execution")
        return cls(
            tool_name=str(call.tool_name),
            arguments=dict(call.arguments or {}),
            agent=str(metadata["agent"]) if metadata.get("agent") else None,
            is_asked=call.requires_approval,
            execution=execution if isinstance(execution, Mapping) and not call.requires_approval else None,
            precondition=Precondition.read(metadata),
        )


@dataclass(frozen=True)
class Concern:
    """Something that a person must see before the call runs."""

    text: str
    danger: Danger = "normal"


@dataclass(frozen=True)
class Examination:
    """What a client found about a call: what runs is what was examined."""

    request: ToolRequest
    located: Located | None = None
    """The file or folder that the call names, for a command the folder in which it runs."""
    concerns: tuple[Concern, ...] = ()
    refusal: str | None = None
    """Why the call cannot be run, one sentence for the model."""
    notes: tuple[str, ...] = ()
    """Facts for the person, such as which sandbox holds a command."""
    is_unconfined: bool = False
    """Whether the person let the command run once without the sandbox."""

    def unconfined(self, blame: str) -> Examination:
        """Return what a person is asked when the sandbox may have made the command fail."""
        concern = Concern(f"{blame} Without it the command can do what you can do.", "high")
        return replace(self, concerns=(*self.concerns, concern), notes=(), is_unconfined=True)

    def explained(self, call: Chunk) -> Chunk:
        """Add what was found to the explanation that the server gave: a concern is one more reason to ask."""
        if not self.concerns and not self.notes:
            return call
        metadata = dict(call.metadata or {})
        if self.notes:
            metadata["client_notes"] = list(self.notes)
        if self.concerns:
            found = [{"code": "client", "text": concern.text} for concern in self.concerns]
            dangers: list[Danger] = [concern.danger for concern in self.concerns]
            declared = metadata.get("danger")
            known: list[Danger] = [level for level in ("low", "normal", "high") if level == declared]
            metadata |= {
                "reasons": [*(metadata.get("reasons") or []), *found],
                "danger": highest([*dangers, *known]),
                "verdict": "ask",
            }
        return call.model_copy(update={"metadata": metadata})
