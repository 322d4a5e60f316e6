"""Lines that the judge allows, executed in a hostile workspace: no write, no other program, no outside read."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.executed_commands import allowed_runs, execute
from benchmarks.traced_runs import Run, Workspace, missing, missing_sandbox

SEED = 20261121
COUNTS = {"no sandbox": 250, "sandbox": 100}
"""How many lines are drawn; one in a sandbox costs several others. `benchmarks/executed_commands.py` runs 20,000."""

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("holder", COUNTS)
def test_allowed_lines_only_read(holder: str) -> None:
    if holder == "sandbox" and (reason := missing_sandbox()):
        pytest.skip(reason)
    executed, problems = 0, []
    for seen in execute(COUNTS[holder], SEED, holder):
        executed += sum(one.not_run is None for one in seen)
        problems += [(one.run.line, problem) for one in seen for problem in one.problems]
    assert executed == COUNTS[holder]
    assert problems == [], f"seed {SEED}"


HARMFUL = {
    "write": ("touch", "x"),
    "write: rename": ("mv", "words.txt", "moved.txt"),
    "outside read": ("cat", "lib/vendor/secret.txt"),
    "secret read": ("grep", "-r", "foo", "."),
    "unexpected process": ("git", "diff"),
}


def test_the_trace_sees_what_it_must_see(tmp_path: Path) -> None:
    seen = Workspace(tmp_path / "w").runs([Run(" ".join(words), ((words,),)) for words in HARMFUL.values()])
    for expected, one in zip(HARMFUL, seen, strict=True):
        assert any(problem.startswith(expected) for problem in one.problems), (expected, one.problems)


@pytest.mark.skipif(missing_sandbox() is not None, reason=str(missing_sandbox()))
def test_in_the_sandbox_the_trace_sees_attempts_and_a_read_outside_finds_nothing(tmp_path: Path) -> None:
    outside = str(tmp_path / "w" / "outside" / "secret.txt")
    lines = HARMFUL | {"outside read": ("cat", outside)}
    runs = [Run(" ".join(words), ((words,),), execution={"argv": [[words]]}) for words in lines.values()]
    for expected, one in zip(lines, Workspace(tmp_path / "w").sandboxed_runs(runs), strict=True):
        assert one.not_run is None
        if expected == "outside read":
            assert outside in one.asked_for
            assert one.problems == []
        else:
            assert any(problem.startswith(expected) for problem in one.problems), (expected, one.problems)


def test_git_prints_the_patch_of_the_hostile_repository(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    run = next(run for run in allowed_runs(SEED) if run.argv[0][0][:2] == ("git", "diff"))
    assert "--no-ext-diff" in run.argv[0][0]
    words = ("git", "diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
    assert "+print('changed')" in workspace.output(words, dict(run.env))
