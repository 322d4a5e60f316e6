"""The option lists proved by the programs: each listed form is run; none writes or starts another program.

A value that the list hides (`-c 8`) must be a value to the program too: if the program tried to open it, the word would
be an operand that nobody has checked.
"""

from __future__ import annotations

import random
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.command_lines import forms_of
from benchmarks.traced_runs import PROGRAMS, Run, Workspace, missing
from policy.shell.options import Option, OptionList
from policy.shell.readonly import COMMANDS_TEXT, READ_COMMANDS, ReadCommand
from tests.policy.roster import run

CANARY = {"NUM": "7", "DIGITS": "7", "SIGNED": "7", "TEXT": "zq7", "GLOB": "zq7", "FORMAT": "%h", "KEY": "refname"}
PATHS = {"PATH": "words.txt", "RANGE": "1,2:README.md", "REV": "HEAD"}
TABLE = tomllib.loads(COMMANDS_TEXT)
FEWEST_FORMS = 1500

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def _own_options(command: ReadCommand) -> list[Option]:
    """The options of a command; a list that several git commands share is run once, with the first of them."""
    entry = TABLE[command.name]
    entry = TABLE[entry["same_as"]] if "same_as" in entry else entry
    shared = {"git log": ["diff", "walk"]}.get(command.name, [])
    parts = [entry["options"], *(TABLE["shared"][part]["options"] for part in shared)]
    return list(OptionList.parse(" ".join(parts)).options.values())


def _operands(command: ReadCommand) -> list[str]:
    words = ["foo"] if command.operands.startswith("pattern") else []
    by_kind = {"paths": ["README.md"], "names": ["README.md"], "pattern": ["README.md"], "revisions": ["HEAD"]}
    return words + by_kind.get(command.operands, [])


def _lines() -> Iterator[tuple[str, str | None]]:
    """Yield a line for each form of each option, with the value that must not be opened."""
    for command in READ_COMMANDS.values():
        if command.form is not None:
            yield from ((example, None) for example in command.passes)
            continue
        needed = sorted(command.needs)[:1]
        flags = [name for name, option in command.options.options.items() if option.value is None and len(name) == 2]
        for option in _own_options(command):
            value = CANARY.get(option.value or "", PATHS.get(option.value or "", ""))
            forms = forms_of(option, value)
            takes_next = option.value is not None and not option.is_optional and not option.is_alone
            if takes_next and len(option.name) == 2 and flags:
                forms.append([f"-{flags[0][1]}{option.name[1]}", value])
            for form in forms:
                words = [command.name, *needed, *(f"'{word}'" if "%" in word else word for word in form)]
                hidden = value if option.value in {"NUM", "DIGITS", "SIGNED", "TEXT", "GLOB"} else None
                yield " ".join([*words, *_operands(command)]), hidden


def _run_of(line: str) -> Run | None:
    execution = run(line).execution
    if execution is None:
        return None
    argv = execution["argv"] or [[["bash", "-c", line]]]
    return Run(line, tuple(tuple(map(tuple, pipeline)) for pipeline in argv), tuple(execution["env"].items()))


@pytest.mark.timeout(900)
def test_every_listed_form_is_what_the_program_makes_of_it(tmp_path: Path) -> None:
    lines = [(line, hidden) for line, hidden in _lines() if shutil.which(line.split()[0], path=PROGRAMS)]
    assert len(lines) >= FEWEST_FORMS
    runs = [(found, hidden) for line, hidden in lines if (found := _run_of(line)) is not None]
    assert len(runs) >= 0.95 * len(lines), [line for line, _ in lines if _run_of(line) is None][:50]
    random.Random(1).shuffle(runs)
    problems = []
    for start in range(0, len(runs), 300):
        batch = runs[start : start + 300]
        workspace = Workspace(tmp_path / f"w{start}")
        for (found, hidden), seen in zip(batch, workspace.runs([found for found, _ in batch]), strict=True):
            problems += [(found.line, problem) for problem in seen.problems]
            if hidden is not None and str(workspace.work / hidden) in seen.asked_for:
                problems.append((found.line, f"{hidden} is an operand"))
    assert problems == []


def test_a_wrong_arity_would_be_seen(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    words = ("xxd", "-pc", "8", "README.md")
    if shutil.which("xxd", path=PROGRAMS) is None:
        pytest.skip("xxd is not installed")
    (seen,) = workspace.runs([Run(" ".join(words), ((words,),))])
    assert str(workspace.work / "8") in seen.asked_for
