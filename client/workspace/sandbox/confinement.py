"""How the commands of one workspace are held: the boundary, and the reach of asked and unasked commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.workspace.sandbox.boundary import Boundary, NoBoundary, described
from client.workspace.sandbox.reach import reading, working

_REFUSED = re.compile(
    r"Read-only file system|EROFS|Network is unreachable|ENETUNREACH|Temporary failure in name resolution"
    r"|Could not resolve host|EAI_AGAIN|getaddrinfo|Name or service not known|^(?:bwrap|landlock|sandbox-exec): "
    r"|Permission denied|EACCES|Operation not permitted|EPERM",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Confinement:
    """The boundary, and whether approved commands may use the network."""

    boundary: Boundary = field(default_factory=NoBoundary)
    may_connect: bool = True

    def wrapped(self, argv: list[str], folder: Path, root: Path, *, is_asked: bool) -> list[str]:
        """Return the words that start a program within the reach of its command."""
        reach = working(root, may_connect=self.may_connect) if is_asked else reading(root)
        return self.boundary.wrapped(argv, folder, reach)

    @property
    def holds_everything(self) -> bool:
        """Whether an unasked command can neither write nor connect, whatever it starts."""
        return self.boundary.kind != "none" and self.boundary.holds_network

    def describe(self, *, is_asked: bool) -> str:
        """Say in one phrase what holds a command."""
        return described(self.boundary, may_write=is_asked, may_connect=is_asked and self.may_connect)

    def blame_for(self, report: dict[str, Any], *, is_asked: bool) -> str | None:
        """Say that the sandbox may have made a command fail, None where nothing points to it."""
        if self.boundary.kind == "none" or report["success"] or report["exit_code"] is None:
            return None
        if not _REFUSED.search(f"{report['stderr']}\n{report['stdout']}"):
            return None
        return f"The sandbox may have made this command fail ({self.describe(is_asked=is_asked)})."
