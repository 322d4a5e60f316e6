"""Linux: Landlock, where bubblewrap does not work. A small launcher restricts itself and becomes the program."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from client.workspace.sandbox import landlock_launcher
from client.workspace.sandbox.boundary import Kind, Reach

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm")  # noqa: S108 a device
# Not all of /proc: it shows the environment of other programs.
_MACHINE_FACTS = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "sys/kernel", "uptime", "version")


class Landlock:
    """Confines files and TCP with Landlock, but not UDP and not UNIX sockets of other programs."""

    kind: Kind = "landlock"
    holds_network = False

    def wrapped(self, argv: Sequence[str], folder: Path, reach: Reach) -> list[str]:  # noqa: ARG002 it keeps its folder
        """Return the command of the launcher, which restricts itself and becomes the program."""
        read = [*reach.readable, reach.workspace, Path("/dev"), *(Path("/proc", name) for name in _MACHINE_FACTS)]
        write = [reach.workspace, *reach.writable] if reach.may_write else []
        rules = {
            "read": [str(path) for path in read if path.exists()],
            "write": [*(str(path) for path in write), *(path for path in _DEVICES if Path(path).exists())],
            "connect": reach.may_connect,
        }
        # -I and -S: nothing of the workspace and no site package is imported before the restriction.
        return [sys.executable, "-I", "-S", landlock_launcher.__file__, json.dumps(rules), *argv]


def is_supported() -> bool:
    """Whether the kernel restricts files and TCP connections."""
    return sys.platform == "linux" and landlock_launcher.abi_version() >= landlock_launcher.MIN_ABI
