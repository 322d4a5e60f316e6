"""What runs did, read from the trace of strace: writes, programs, reads of secrets and outside, connections."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.hostile_repository import HostileRepository
from benchmarks.runs import MARK, Run
from policy.paths.classes import family_of
from policy.shell.always_ask import names_of

_TRACED = (
    "execve,open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,"
    "symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,mknod,mknodat,utimensat,utime,"
    "setxattr,fsetxattr,connect,bind,clone,clone3,fork,vfork"
)
STRACE = ("strace", "-f", "--seccomp-bpf", "-qq", "-y", "--decode-pids=pidns", "-s", "4096", "-e", f"trace={_TRACED}")
"""The command whose output is read here, without its `-o FILE`."""

_MARKED = re.compile(MARK + r"(\d+)\"")
_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)")
_CALL = re.compile(r"(\w+)\((.*)", re.DOTALL)
_NAMED = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
"""A name in a call, behind the folder that it is relative to where the call has one."""
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
_RESULT = re.compile(r"= (-?\d+)(?:<([^>]*)>)?(?: /\* (\d+) in strace's PID NS \*/)?")
_HARMLESS_WRITES = ("/dev/null", "/dev/tty", "/proc/self/")
_HELPERS = {"egrep": {"grep"}, "fgrep": {"grep"}, "npm": {"node", "env"}, "[": {"["}, "awk": {"mawk", "gawk"}}
"""Programs that a distribution wraps in a script or a link."""
_SHOWS_NO_CONTENT = names_of(
    "wc file stat md5sum sha1sum sha256sum du ls tree find test [ cmp df realpath readlink basename dirname"
)
_STARTS = frozenset({"clone", "clone3", "fork", "vfork"})
_DRIVER = "driver"


@dataclass
class Seen:
    """What one run did."""

    run: Run
    problems: list[str] = field(default_factory=list)
    asked_for: set[str] = field(default_factory=set)
    """Every name that its programs tried to open."""
    started: int = 0
    not_run: str | None = None
    """Why the client did not run it."""


class TraceReader:
    """Reads one trace; what the driver does, and `wrapper` until it has become the program, is nobody's effect."""

    def __init__(self, repository: HostileRepository, wrapper: str | None = None) -> None:
        self._repository = repository
        self._top, self._work = str(repository.top), str(repository.work)
        self._ignored = {_DRIVER, wrapper}
        self._programs: dict[str, str] = {}

    def read(self, runs: Sequence[Run], lines: Iterable[str]) -> list[Seen]:
        """Say what each run did; the calls are taken in the order in which they began."""
        seen = [Seen(run) for run in runs]
        current: Seen | None = None
        for process, text in _calls(lines):
            if not self._programs:
                self._programs[process] = _DRIVER  # the first call of a trace starts it
            elif marked := _MARKED.search(text):
                current = seen[int(marked.group(1))]
            else:
                self._judge(process, text, current)
        return seen

    def _judge(self, process: str, text: str, seen: Seen | None) -> None:
        call = _CALL.match(text)
        if call is None:
            return
        name, arguments = call.groups()
        result = _RESULT.search(arguments)
        succeeded = result is not None and not result.group(1).startswith("-")
        names = [os.path.join(folder or "", name) for folder, name in _NAMED.findall(arguments)]
        if name in _STARTS:
            if result is not None:
                self._programs[result.group(3) or result.group(1)] = self._programs.get(process, _DRIVER)
        elif name == "execve":
            if succeeded:
                self._programs[process] = os.path.basename(names[0])
            self._judge_program(names[0], seen, succeeded=succeeded)
        elif seen is None or self._programs.get(process, _DRIVER) in self._ignored:
            return
        elif name.startswith("open"):
            opened = result.group(2) if result and succeeded else None
            self._judge_open(self._programs[process], names[0] if names else "", arguments, opened, seen)
        elif name in {"connect", "bind"}:
            if "AF_INET" in arguments:
                seen.problems.append(f"network: {text.strip()[:200]}")
        elif not all(self._is_scratch(path) for path in names or _DESCRIPTOR.findall(arguments) or [""]):
            seen.problems.append(f"write: {text.strip()[:200]}")

    def _is_scratch(self, path: str) -> bool:
        """Programs may spool what they read to the system's folder for temporary files."""
        own = path.startswith(self._top)
        return path.startswith(_HARMLESS_WRITES) or (path.startswith("/tmp/") and not own)  # noqa: S108

    def _judge_program(self, program: str, seen: Seen | None, *, succeeded: bool) -> None:
        if seen is None or os.path.basename(program) in self._ignored:
            return
        expected = {words[0] for pipeline in seen.run.argv for words in pipeline}
        expected |= {helper for name in tuple(expected) for helper in _HELPERS.get(name, ())}
        if expected & {"bash", "zsh"}:
            expected |= set(re.findall(r"[\w\[]+", seen.run.line)) | set().union(*_HELPERS.values())
        seen.started += succeeded
        if os.path.basename(program) not in expected or program.startswith(self._top):
            seen.problems.append(f"unexpected process: {program}")

    def _judge_open(self, program: str, name: str, arguments: str, opened: str | None, seen: Seen) -> None:
        seen.asked_for.add(name)
        if re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND", arguments):
            if not self._is_scratch(name):
                seen.problems.append(f"write: {name}")
            return
        if opened is None or "O_PATH" in arguments:
            return
        below = opened.startswith(f"{self._work}/") or opened == self._work
        own = opened.startswith((f"{self._repository.home}/.gitconfig", f"{self._repository.home}/.config/git"))
        if not below and not own and opened.startswith(self._top):
            seen.problems.append(f"outside read: {opened}")
        if below and "O_DIRECTORY" not in arguments:
            parts = opened.removeprefix(f"{self._work}/").split("/")
            family = family_of(parts, "read")
            if family.name in {"secrets", "package_credentials"} and program not in _SHOWS_NO_CONTENT:
                seen.problems.append(f"secret read: {opened}")


def _calls(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return process and text of each call, in the order in which the calls began."""
    calls: list[tuple[str, str]] = []
    pending: dict[str, int] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        process, resumed, rest = found.groups()
        if resumed and process in pending:
            place = pending.pop(process)
            calls[place] = (process, calls[place][1] + rest)
            continue
        if rest.endswith("<unfinished ...>"):
            rest = rest.removesuffix("<unfinished ...>")
            pending[process] = len(calls)
        calls.append((process, rest))
    return calls
