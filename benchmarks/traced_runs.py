"""Commands that are really run in a throw-away workspace under strace, and what they did beyond reading it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from policy.paths.classes import family_of
from policy.shell.always_ask import names_of

MARK = "/marker-of-run/"
"""The driver asks for a file of this name before each run, so that the trace can be cut."""

_MARKED = re.compile(MARK + r"(\d+)\"")
_TRACED = (
    "execve,open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,"
    "symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,mknod,mknodat,utimensat,utime,"
    "setxattr,fsetxattr,connect,bind"
)
_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)")
_CALL = re.compile(r"(\w+)\((.*)", re.DOTALL)
_NAMED = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
"""A name in a call, behind the folder that it is relative to where the call has one."""
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
_RESULT = re.compile(r"= (-?\d+)(?:<([^>]*)>)?")
_HARMLESS_WRITES = ("/dev/null", "/dev/tty", "/proc/self/")
_HELPERS = {"egrep": {"grep"}, "fgrep": {"grep"}, "npm": {"node", "env"}, "[": {"["}, "awk": {"mawk", "gawk"}}
"""Programs that a distribution wraps in a script or a link."""
PROGRAMS = "/usr/local/bin:/usr/bin:/bin"
"""The path of programs, without the wrappers of version managers, which are no part of the list."""
_SHOWS_NO_CONTENT = names_of(
    "wc file stat md5sum sha1sum sha256sum du ls tree find test [ cmp df realpath readlink basename dirname"
)
_DRIVER = """
import json, os, subprocess, sys
runs = json.load(open(sys.argv[1]))
for number, run in enumerate(runs):
    try:
        os.close(os.open(sys.argv[2] + str(number), os.O_RDONLY))
    except OSError:
        pass
    for pipeline in run["argv"]:
        source, processes = subprocess.DEVNULL, []
        for number_of_stage, words in enumerate(pipeline):
            is_last = number_of_stage == len(pipeline) - 1
            try:
                process = subprocess.Popen(
                    words, cwd=run["folder"], env=run["env"], stdin=source,
                    stdout=subprocess.DEVNULL if is_last else subprocess.PIPE, stderr=subprocess.DEVNULL,
                )
            except OSError:
                break
            if not isinstance(source, int):
                source.close()
            processes.append(process)
            source = process.stdout
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
"""


@dataclass(frozen=True)
class Run:
    """One line with the pipelines that are started for it."""

    line: str
    argv: tuple[tuple[tuple[str, ...], ...], ...]
    env: tuple[tuple[str, str], ...] = ()


@dataclass
class Seen:
    """What one run did."""

    run: Run
    problems: list[str] = field(default_factory=list)
    asked_for: set[str] = field(default_factory=set)
    """Every name that its programs tried to open."""
    started: int = 0


class Workspace:
    """A repository as a stranger could have written it, with secrets, and a folder beside it that nobody may read."""

    def __init__(self, folder: Path) -> None:
        self.top = folder.resolve()
        self.work, self.outside, self.home = self.top / "work", self.top / "outside", self.top / "home"
        self.canary = self.top / "canary"
        self._programs: dict[str, str] = {}
        for place in (self.work, self.outside, self.home / ".ssh"):
            place.mkdir(parents=True)
        self.canary.write_text("#!/bin/sh\necho canary\n")
        self.canary.chmod(0o755)
        (self.outside / "secret.txt").write_text("outside\n")
        (self.home / ".ssh" / "id_rsa").write_text("key\n")
        self._write_files()
        self._make_repository()

    def environment(self) -> dict[str, str]:
        """Return the variables of the person at the client."""
        return {"PATH": PROGRAMS, "HOME": str(self.home), "LANG": "C.UTF-8", "TZ": "UTC"}

    def runs(self, runs: Sequence[Run]) -> list[Seen]:
        """Run every line under strace and say what each one did."""
        orders = self.top / "orders.json"
        trace = self.top / "trace"
        environment = self.environment()
        orders.write_text(
            json.dumps(
                [{"argv": run.argv, "env": environment | dict(run.env), "folder": str(self.work)} for run in runs]
            )
        )
        driver = [sys.executable, "-S", "-c", _DRIVER, str(orders), MARK]
        command = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-y",
            "-s",
            "4096",
            "-o",
            str(trace),
            "-e",
            f"trace={_TRACED}",
        ]
        subprocess.run([*command, "-e", f"trace={_TRACED}", *driver], check=True, cwd=self.work, env=environment)
        with trace.open(encoding="utf-8", errors="replace") as lines:
            return self._read(runs, lines)

    def output(self, words: Sequence[str], env: Mapping[str, str]) -> str:
        """Run one program, not traced, and return what it prints."""
        environment = self.environment() | dict(env)
        done = subprocess.run(words, cwd=self.work, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    def _read(self, runs: Sequence[Run], lines: Iterable[str]) -> list[Seen]:
        seen = [Seen(run) for run in runs]
        self._programs = {}
        current: Seen | None = None
        driver, pending = "", {}
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            process, resumed, rest = found.groups()
            driver = driver or process
            if rest.endswith("<unfinished ...>"):
                pending[process] = rest.removesuffix("<unfinished ...>")
                continue
            text = pending.pop(process, "") + rest if resumed else rest
            if marked := _MARKED.search(text):
                current = seen[int(marked.group(1))]
            elif current is not None and process != driver:
                self._judge(process, text, current)
        return seen

    def _judge(self, process: str, text: str, seen: Seen) -> None:
        call = _CALL.match(text)
        if call is None:
            return
        name, arguments = call.groups()
        result = _RESULT.search(arguments)
        succeeded = result is not None and not result.group(1).startswith("-")
        names = [os.path.join(folder or "", name) for folder, name in _NAMED.findall(arguments)]
        if name == "execve":
            if succeeded:
                self._programs[process] = os.path.basename(names[0])
                self._judge_program(names[0], seen)
        elif name.startswith("open"):
            opened = result.group(2) if result and succeeded else None
            self._judge_open(self._programs.get(process, ""), names[0] if names else "", arguments, opened, seen)
        elif name in {"connect", "bind"}:
            if "AF_INET" in arguments:
                seen.problems.append(f"network: {text.strip()[:200]}")
        elif not all(self._is_scratch(path) for path in names or _DESCRIPTOR.findall(arguments) or [""]):
            seen.problems.append(f"write: {text.strip()[:200]}")

    def _is_scratch(self, path: str) -> bool:
        """Programs may spool what they read to the system's folder for temporary files."""
        own = path.startswith(str(self.top))
        return path.startswith(_HARMLESS_WRITES) or (path.startswith("/tmp/") and not own)  # noqa: S108

    def _judge_program(self, program: str, seen: Seen) -> None:
        expected = {words[0] for pipeline in seen.run.argv for words in pipeline}
        expected |= {helper for name in tuple(expected) for helper in _HELPERS.get(name, ())}
        if expected & {"bash", "zsh"}:
            expected |= set(re.findall(r"[\w\[]+", seen.run.line)) | set().union(*_HELPERS.values())
        seen.started += 1
        if os.path.basename(program) not in expected or program.startswith(str(self.top)):
            seen.problems.append(f"foreign process: {program}")

    def _judge_open(self, program: str, name: str, arguments: str, opened: str | None, seen: Seen) -> None:
        seen.asked_for.add(name)
        if re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND", arguments):
            if not self._is_scratch(name):
                seen.problems.append(f"write: {name}")
            return
        if opened is None or "O_PATH" in arguments:
            return
        below = opened.startswith(f"{self.work}/") or opened == str(self.work)
        own = opened.startswith((f"{self.home}/.gitconfig", f"{self.home}/.config/git"))
        if not below and not own and opened.startswith(str(self.top)):
            seen.problems.append(f"outside read: {opened}")
        if below and "O_DIRECTORY" not in arguments:
            parts = opened.removeprefix(f"{self.work}/").split("/")
            family = family_of(parts, "read")
            if family.name in {"secrets", "package_credentials"} and program not in _SHOWS_NO_CONTENT:
                seen.problems.append(f"secret read: {opened}")

    def _write_files(self) -> None:
        files = {
            "README.md": "# App\n\nTODO: rm -rf x\nfoo bar\n",
            "package.json": '{"name": "app", "version": "1.0.0", "scripts": {"test": "jest"}}\n',
            "data.csv": "a,1\nb,2\nc,3\n",
            "words.txt": "b\na\nb\n",
            "a.bin": "\0\1\2text of eight\n",
            "src/main.py": "import os\n\n\ndef main():\n    return 'foo'\n",
            "src/util.py": "def helper():\n    pass\n",
            "lib/app.dart": "class App extends Widget {}\n",
            "lib/src/model.dart": "// TODO foo\nclass Model {}\n",
            "docs/guide.md": "guide\n",
            "SHA256SUMS": "",
            ".env": "KEY=secret foo\n",
            "conf/prod.env": "KEY=secret foo\n",
            "conf/.env.local": "KEY=secret foo\n",
            "conf/server.pem": "secret foo\n",
            "conf/ID_RSA": "secret foo\n",
            ".ssh/config": "secret foo\n",
            "conf2/server.pem": "other secret foo\n",
            "-rf": "named like an option\n",
            "--output=x": "named like an option\n",
            "src/-o": "named like an option\n",
            "docs/@args": "--output=x\n",
        }
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.work / "lib" / "vendor").symlink_to(self.outside)

    def _make_repository(self) -> None:
        def git(*words: str, where: Path = self.work) -> None:
            names = {
                f"GIT_{role}_{part}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
            }
            environment = self.environment() | names | {"GIT_CONFIG_NOSYSTEM": "1"}
            subprocess.run(
                [*_GIT, *words],
                cwd=where,
                env=environment,
                check=True,
                capture_output=True,
            )

        part = self.top / "part"
        part.mkdir()
        git("init", "-q", where=part)
        (part / "x").write_text("x\n")
        git("add", "x", where=part)
        git("commit", "-qm", "part", where=part)
        git("init", "-q", "-b", "main")
        (self.work / ".gitattributes").write_text("*.md diff=evil\n*.py diff=worse\n")
        (self.work / ".gitignore").write_text(".env\nconf\nconf2\n.ssh\n")
        git("submodule", "add", "-q", str(part), "part")
        git("add", "README.md", "src", "lib/app.dart", "docs/guide.md", ".gitattributes", ".gitignore", "package.json")
        git("commit", "-qm", "first")
        git("tag", "v1.0.0")
        (self.work / "README.md").write_text("# App\n\nchanged foo\n")
        git("commit", "-qam", "second")
        (self.work / "src" / "main.py").write_text("print('stashed')\n")
        git("stash")
        (self.work / "src" / "main.py").write_text("print('changed')\n")
        (self.work / "part" / "x").write_text("changed\n")
        canary = str(self.canary)
        settings = {
            "diff.external": canary,
            "diff.evil.textconv": canary,
            "diff.worse.command": canary,
            "core.fsmonitor": canary,
            "core.pager": canary,
            "core.hooksPath": str(self.top),
            "core.editor": canary,
            "core.sshCommand": canary,
            "log.showSignature": "true",
            "gpg.program": canary,
            "format.pretty": "%h %G?",
            "pretty.mine": "%G?",
            "diff.submodule": "diff",
            "submodule.part.ignore": "none",
            "alias.st": f"!{canary}",
            "pager.log": canary,
            "interactive.diffFilter": canary,
            "credential.helper": canary,
            "remote.origin.url": f"ext::{canary}",
        }
        for key, value in settings.items():
            git("config", key, value)
        inner = self.work / ".git" / "modules" / "part"
        git("config", "--file", str(inner / "config"), "core.fsmonitor", canary)
        git("config", "--file", str(inner / "config"), "diff.external", canary)


_GIT = (shutil.which("git") or "git", "-c", "protocol.file.allow=always")


def missing() -> str | None:
    """Say what is missing on this machine for traced runs, or None."""
    for program in ("strace", "git", "bash"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    probe = subprocess.run(
        [
            shutil.which("strace") or "strace",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-o",
            os.devnull,
            "-e",
            "trace=execve",
            "true",
        ],
        capture_output=True,
        check=False,
    )
    return None if probe.returncode == 0 else "strace may not trace here"
