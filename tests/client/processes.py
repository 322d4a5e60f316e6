"""Which processes run, whatever namespace they are in."""

import time
from pathlib import Path

DEADLINE_S = 5


def wait_until_ended(program: str, argument: str) -> None:
    """Wait until no process has this program and first argument; Linux only."""
    deadline = time.monotonic() + DEADLINE_S
    while found := running(program, argument):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def running(program: str, argument: str) -> list[str]:
    """Return the ids of the processes that have this program and first argument."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [program.encode(), argument.encode()]:
            found.append(entry.name)
    return found
