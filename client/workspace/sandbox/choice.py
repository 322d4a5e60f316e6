"""Which sandbox works on this machine: each kind is tried with a small program before it is trusted."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from client.workspace.sandbox.boundary import Boundary, NoBoundary, Reach
from client.workspace.sandbox.bubblewrap import Bubblewrap
from client.workspace.sandbox.landlock import Landlock, is_supported
from client.workspace.sandbox.reach import reading
from client.workspace.sandbox.seatbelt import Seatbelt

PROBE_TIMEOUT_S = 10
# Reads inside, and fails to write inside, to read outside and, where interfaces are listed, to find one but loopback.
_PROBE = (
    "cat inside > /dev/null || exit 1; (: > written) 2>/dev/null && exit 2; cat ../outside 2>/dev/null && exit 3; "
    '[ "$0" = network ] && grep -qv -e "|" -e " lo:" /proc/net/dev && exit 4; exit 0'
)


@cache
def find_boundary() -> Boundary:
    """Return the first sandbox that holds on this machine, or none."""
    return next((boundary for boundary in _candidates() if holds(boundary)), NoBoundary())


def _candidates() -> Iterator[Boundary]:
    bubblewrap, seatbelt = shutil.which("bwrap"), shutil.which("sandbox-exec")
    if sys.platform == "linux" and bubblewrap:
        yield Bubblewrap(bubblewrap)
    if is_supported():
        yield Landlock()
    if sys.platform == "darwin" and seatbelt:
        yield Seatbelt(seatbelt)


def holds(boundary: Boundary) -> bool:
    """Run the probe: whether a program starts at all, and does not get out of a reach that only reads."""
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder).resolve() / "workspace"
        inside.mkdir()
        for file in (inside / "inside", inside.parent / "outside"):
            file.write_text("probe")
        reach: Reach = reading(inside)
        is_linux_network = sys.platform == "linux" and boundary.holds_network
        argv = ["/bin/sh", "-c", _PROBE, "network" if is_linux_network else "files"]
        try:
            done = subprocess.run(  # noqa: S603 our own probe
                boundary.wrapped(argv, inside, reach), cwd=inside, capture_output=True, timeout=PROBE_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0 and not (inside / "written").exists()
