"""Linux: bubblewrap puts a program into namespaces of its own, with the file system that its reach names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from client.workspace.sandbox.boundary import Kind, Reach


class Bubblewrap:
    """Confines a program with bubblewrap: namespaces of its own, and only the mounts of its reach."""

    kind: Kind = "bubblewrap"
    holds_network = True

    def __init__(self, program: str) -> None:
        self._program = program

    def wrapped(self, argv: Sequence[str], folder: Path, reach: Reach) -> list[str]:
        """Return the bwrap command; when bwrap is killed, its process namespace ends with all processes in it."""
        options = ["--die-with-parent", "--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        options += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
        if not reach.may_connect:
            options.append("--unshare-net")
        for mount in sorted(_mounts(reach), key=lambda mount: len(mount[0].parts)):
            options += mount[1]
        options += ["--remount-ro", "/"]
        return [self._program, *options, "--chdir", str(folder), "--", *argv]


def _mounts(reach: Reach) -> list[tuple[Path, list[str]]]:
    """Return what is mounted where; a deeper path comes later and lies on top."""
    mounts = [_readable(path) for path in reach.readable]
    # A bind of the root keeps its /dev, whose devices do not work inside: mount a new one.
    mounts += [(Path("/dev"), ["--dev", "/dev"]), (Path("/proc"), ["--proc", "/proc"])]
    if not reach.may_write:
        mounts += [(Path(path), ["--tmpfs", path]) for path in ("/tmp", "/var/tmp")]  # noqa: S108 inside the sandbox
        mounts.append((Path.home(), ["--dir", str(Path.home())]))
    else:
        mounts += [(path, ["--bind", str(path), str(path)]) for path in reach.writable]
    bind = "--bind" if reach.may_write else "--ro-bind"
    mounts.append((reach.workspace, [bind, str(reach.workspace), str(reach.workspace)]))
    seen = [path for path in reach.hidden if _is_seen(path, reach)]
    return mounts + [(path, ["--tmpfs", str(path), "--remount-ro", str(path)]) for path in seen if path.is_dir()]


def _readable(path: Path) -> tuple[Path, list[str]]:
    if path.is_symlink():
        return path, ["--symlink", str(path.readlink()), str(path)]
    return path, ["--ro-bind", str(path), str(path)]


def _is_seen(path: Path, reach: Reach) -> bool:
    return any(shown in path.parents for shown in (*reach.readable, reach.workspace))
