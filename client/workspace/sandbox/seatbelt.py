"""macOS: sandbox-exec with a profile made from the reach. Written from the manual and not tested on a Mac."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from client.workspace.sandbox.boundary import Kind, Reach

_DEVICES = ("/dev/null", "/dev/zero", "/dev/tty", "/dev/dtracehelper", "/dev/random", "/dev/urandom")


class Seatbelt:
    """Confines a program with sandbox-exec; it has no process namespace, so the client kills the process group."""

    kind: Kind = "seatbelt"
    holds_network = True

    def __init__(self, program: str) -> None:
        self._program = program

    def wrapped(self, argv: Sequence[str], folder: Path, reach: Reach) -> list[str]:  # noqa: ARG002 it keeps its folder
        """Return the sandbox-exec command with the profile of the reach."""
        return [self._program, "-p", profile_of(reach), *argv]


def profile_of(reach: Reach) -> str:
    """Write the reach in seatbelt's profile language; of several rules that match, the last one counts."""
    lines = ["(version 1)", "(allow default)", "(deny file-write*)"]
    lines.append(f"(allow file-write* {' '.join(f'(literal {_quoted(Path(path))})' for path in _DEVICES)})")
    if not reach.may_connect:
        lines.append("(deny network*)")
    if Path("/") not in reach.readable:
        lines.append("(deny file-read-data)")
        lines.append(_rule("allow", "file-read*", (*reach.readable, Path("/dev"), Path("/private/etc/localtime"))))
    lines.append(_rule("allow", "file-read*", [reach.workspace]))
    if reach.may_write:
        lines.append(_rule("allow", "file-write*", [reach.workspace, *reach.writable]))
    if reach.hidden:
        lines.append(_rule("deny", "file-read* file-write*", reach.hidden))
    return "\n".join(lines)


def _rule(decision: str, operations: str, paths: Iterable[Path]) -> str:
    return f"({decision} {operations} {' '.join(f'(subpath {_quoted(path)})' for path in paths)})"


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
