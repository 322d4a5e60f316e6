"""Commands that are really run in a throw-away repository under strace, plainly or in the terminal client's sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.hostile_repository import PROGRAMS, HostileRepository
from benchmarks.runs import MARK, Run
from benchmarks.trace import STRACE, Seen, TraceReader
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.reach import reading

__all__ = ["PROGRAMS", "Run", "Seen", "Workspace", "missing", "missing_sandbox"]

_ROOT = Path(__file__).resolve().parent.parent
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


class Workspace(HostileRepository):
    """A hostile repository in which lines are run under strace."""

    def runs(self, runs: Sequence[Run]) -> list[Seen]:
        """Run every line as its execution contract says, without the client and without a sandbox."""
        environment = self.environment()
        orders = [{"argv": run.argv, "env": environment | dict(run.env), "folder": str(self.work)} for run in runs]
        driver = [sys.executable, "-S", "-c", _DRIVER, self._written("orders.json", orders), MARK]
        return self._traced(driver, environment, runs, TraceReader(self))

    def sandboxed_runs(self, runs: Sequence[Run]) -> list[Seen]:
        """Run every line with the terminal client's executor, as a call that needs no approval."""
        environment = self.environment() | {"PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        if sys.pycache_prefix:
            environment["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
        orders = [{"line": run.line, "execution": run.execution} for run in runs]
        results = self.top / "results.json"
        driver = [sys.executable, "-m", "benchmarks.sandboxed_driver"]
        driver += [self._written("orders.json", orders), str(results)]
        wrapper = find_boundary().wrapped(["true"], self.work, reading(self.work))[0]
        seen = self._traced(driver, environment, runs, TraceReader(self, os.path.basename(wrapper)))
        for one, reason in zip(seen, json.loads(results.read_text()), strict=True):
            one.not_run = reason
        return seen

    def output(self, words: Sequence[str], env: Mapping[str, str]) -> str:
        """Run one program, not traced, and return what it prints."""
        environment = self.environment() | dict(env)
        done = subprocess.run(words, cwd=self.work, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    def _written(self, name: str, content: object) -> str:
        path = self.top / name
        path.write_text(json.dumps(content))
        return str(path)

    def _traced(
        self, driver: Sequence[str], environment: Mapping[str, str], runs: Sequence[Run], reader: TraceReader
    ) -> list[Seen]:
        trace = self.top / "trace"
        subprocess.run([*STRACE, "-o", str(trace), *driver], check=True, cwd=self.work, env=environment)
        with trace.open(encoding="utf-8", errors="replace") as lines:
            return reader.read(runs, lines)


def missing() -> str | None:
    """Say what is missing on this machine for traced runs, or None."""
    for program in ("strace", "git", "bash"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    probe = subprocess.run([*STRACE, "-o", os.devnull, "true"], capture_output=True, check=False)
    return None if probe.returncode == 0 else "strace may not trace here"


def missing_sandbox() -> str | None:
    """Say what is missing on this machine for traced runs in the sandbox, or None."""
    if reason := missing():
        return reason
    return "no sandbox works here" if find_boundary().kind == "none" else None
