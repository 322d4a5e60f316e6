"""Lines that the judge allows, executed in a hostile workspace: no write, no other program, no outside read."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.executed_commands import allowed_runs, execute
from benchmarks.traced_runs import Run, Workspace, missing

SEED = 20261121
COUNT = 500

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.mark.timeout(600)
def test_allowed_lines_only_read() -> None:
    executed, problems = 0, []
    for seen in execute(COUNT, SEED):
        executed += len(seen)
        problems += [(one.run.line, problem) for one in seen for problem in one.problems]
    assert executed == COUNT
    assert problems == [], f"seed {SEED}"


def test_the_trace_sees_what_it_must_see(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    lines = {
        "write": ("touch", "x"),
        "write: rename": ("mv", "words.txt", "moved.txt"),
        "outside read": ("cat", "lib/vendor/secret.txt"),
        "secret read": ("grep", "-r", "foo", "."),
        "foreign process": ("git", "diff"),
    }
    seen = workspace.runs([Run(" ".join(words), ((words,),)) for words in lines.values()])
    for expected, one in zip(lines, seen, strict=True):
        assert any(problem.startswith(expected) for problem in one.problems), (expected, one.problems)


def test_git_prints_the_patch_of_the_hostile_repository(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    run = next(run for run in allowed_runs(SEED) if run.argv[0][0][:2] == ("git", "diff"))
    assert "--no-ext-diff" in run.argv[0][0]
    words = ("git", "diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
    assert "+print('changed')" in workspace.output(words, dict(run.env))
