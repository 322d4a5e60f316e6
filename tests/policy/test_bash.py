"""Differential test: what bash really runs for an allowed line is exactly what the verdict lists."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from policy.shell.command import classify
from policy.shell.readonly import READ_COMMANDS
from tests.policy.roster import corpus

SEED = 4711
MUTANTS = 250
BUILTINS = "echo pwd true false printf test [ type"
PIECES = [
    " ",
    "\t",
    "''",
    '""',
    "-",
    "#",
    "^",
    "%",
    "@",
    "+",
    ",",
    ":",
    "\n",
    "=",
    "~",
    "!",
    "a",
    "é",
    ".",
    "/",
    "'a b'",
    '"c"',
    "*",
    "?",
    "[",
]

bash = shutil.which("bash")
pytestmark = pytest.mark.skipif(bash is None, reason="bash is not installed")


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stub for each listed program, which writes its arguments down and does nothing else."""
    folder = tmp_path_factory.mktemp("stubs")
    script = '#!/bin/sh\nprintf "%s\\0" "${0##*/}" "$@" >"$RECORD/$$"\n'
    for name in {command.split()[0] for command in READ_COMMANDS} - {"cd"}:
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    (folder / "setup").write_text(f"enable -n {BUILTINS}\n")
    return folder


def _recorded(line: str, stubs: Path, place: Path) -> list[tuple[str, ...]]:
    record = place / "record"
    shutil.rmtree(record, ignore_errors=True)
    record.mkdir()
    work = place / "work"
    work.mkdir(exist_ok=True)
    environment = {"PATH": str(stubs), "RECORD": str(record), "BASH_ENV": str(stubs / "setup"), "HOME": str(place)}
    locale = {name: value for name, value in os.environ.items() if name in {"LANG", "LC_ALL"}}
    subprocess.run(
        [str(bash), "--noprofile", "--norc", "-c", line],
        cwd=work,
        env=environment | locale,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert list(work.iterdir()) == [], f"{line!r} wrote a file"
    return [tuple(call.read_bytes().decode().split("\0")[:-1]) for call in record.iterdir()]


def _compare(line: str, stubs: Path, place: Path) -> None:
    verdict = classify(line, None, "bash")
    assert verdict.decision == "allow", line
    expected = sorted(segment.argv for segment in verdict.segments if segment.argv[0] != "cd")
    ran = sorted(_recorded(line, stubs, place))
    if "||" in line or any(segment.argv[0] == "cd" for segment in verdict.segments):
        assert all(call in expected for call in ran), line
    else:
        assert ran == expected, line


def test_bash_runs_exactly_the_segments_of_safe_rows(stubs: Path, tmp_path: Path) -> None:
    rows = [*corpus("commands_dev.jsonl"), *corpus("commands_own.jsonl")]
    for row in rows:
        if row["expect"] == "safe":
            _compare(row["command"], stubs, tmp_path)


def test_bash_runs_exactly_the_segments_of_mutated_rows_that_stay_allowed(stubs: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    rows = [row["command"] for row in corpus("commands_dev.jsonl") if row["expect"] == "safe"]
    tried: set[str] = set()
    while len(tried) < MUTANTS:
        mutant = chance.choice(rows)
        for _ in range(chance.randint(1, 2)):
            place = chance.randint(0, len(mutant))
            mutant = mutant[:place] + chance.choice(PIECES) + mutant[place:]
        if mutant not in tried and classify(mutant, None, "bash").decision == "allow":
            tried.add(mutant)
            _compare(mutant, stubs, tmp_path)
