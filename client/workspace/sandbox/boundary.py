"""What holds a command: one of the operating system's sandboxes, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

Kind = Literal["bubblewrap", "landlock", "seatbelt", "none"]


@dataclass(frozen=True)
class Reach:
    """What one command may touch; every path is absolute and exists."""

    workspace: Path
    may_write: bool
    """Whether the workspace and the caches may be written."""
    may_connect: bool
    readable: tuple[Path, ...]
    """Beside the workspace; `/` is everything."""
    writable: tuple[Path, ...] = ()
    """Beside the workspace, where `may_write`."""
    hidden: tuple[Path, ...] = ()
    """Below what is readable, and not to be seen."""


class Boundary(Protocol):
    """Runs a program within a reach."""

    kind: Kind
    holds_network: bool
    """Whether no connection of any kind gets out where the reach has none."""

    def wrapped(self, argv: Sequence[str], folder: Path, reach: Reach) -> list[str]:
        """Return the words that start `argv` in a folder, within the reach; exit status and output pass through."""
        ...


class NoBoundary:
    """No sandbox works here: a command can do what the person can do."""

    kind: Kind = "none"
    holds_network = False

    def wrapped(self, argv: Sequence[str], folder: Path, reach: Reach) -> list[str]:  # noqa: ARG002 nothing is held
        """Return the command unchanged."""
        return list(argv)


def declared(boundary: Boundary) -> Mapping[str, Any]:
    """Describe the sandbox of unapproved commands, as `environment.sandbox` (docs/protocol.md, Messages)."""
    holds = boundary.kind != "none"
    return {"kind": boundary.kind, "network": not boundary.holds_network, "write": "none" if holds else "workspace"}


def described(boundary: Boundary, *, may_write: bool, may_connect: bool) -> str:
    """Say in one phrase what holds a command."""
    if boundary.kind == "none":
        return "no sandbox: the command can do what you can do"
    files = "writes only the workspace, tool caches and temporary files" if may_write else "writes nothing"
    if may_connect:
        network = "network open"
    else:
        network = "no network" if boundary.holds_network else "no TCP, but UDP is not held"
    return f"{boundary.kind} sandbox: {files}, {network}"
