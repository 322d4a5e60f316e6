"""`--allow`: a decision given beforehand is never wider than what a session would remember."""

import json
from pathlib import Path
from typing import Any

import pytest

from client.granted import Grants
from errors import ConfigurationError
from policy.rules import load_rules
from tests.client.runtime_double import as_read, calls
from tests.client.test_cli import agent_runtime, one_sentence

ENVIRONMENT = {"shell": "bash", "workspace_root": "/w", "has_git": True}


def covered(allowed: str, command: str, **arguments: Any) -> bool:
    grants = Grants.of([allowed], ENVIRONMENT, load_rules())
    return grants.cover(as_read(calls("c1", "execute_command", asks=True, command=command, **arguments)))


@pytest.mark.parametrize(
    ("allowed", "command"),
    [
        ("make all", "make all"),
        ("make all", "make all && ls"),
        ("pytest -q", "pytest -q"),
        ("pytest -q", "pytest -q tests/test_a.py"),
    ],
)
def test_what_is_allowed_runs(allowed: str, command: str) -> None:
    assert covered(allowed, command)


@pytest.mark.parametrize(
    ("allowed", "command"),
    [
        ("make all", "make all clean"),
        ("make all", "make"),
        ("make all", "make all > out"),
        ("make all", "make all; rm -rf src"),
        ("make all", "cd .. && make all"),
        ("make all", "X=1 make all"),
        ("make all", "make al*"),
        ("pytest -q", "pytest -q --basetemp=/home"),
        ("pytest -q", "pytest -p evil"),
        ("pytest -q", "pytest -q ../other"),
        ("pytest -q", "python -m pytest -q"),
        ("pytest -q", "pytest -q $(id)"),
        ("pytest -q", "pytest -q @args.txt"),
        ("pytest -q", "pytest -q tests/@args.txt @more.txt"),
        ("pytest -q", "pytest -q -- -p evil"),
        ("pytest -q", "pytest -q -- tests"),
        ("pytest -q", "pytest -q tests -- tests"),
        ("mypy src", "mypy src @args.txt"),
        ("ruff check", "ruff check @args.txt"),
        ("tsc --noEmit", "tsc"),
        ("tsc --noEmit", "tsc --noEmit @args.txt"),
    ],
)
def test_nothing_wider_runs(allowed: str, command: str) -> None:
    assert not covered(allowed, command)


def test_other_tools_and_other_folders_are_not_covered() -> None:
    grants = Grants.of(["make all"], ENVIRONMENT, load_rules())
    assert not grants.cover(as_read(calls("c1", "write_file", asks=True, path="make all", content="make all")))
    assert not covered("make all", "make all", cwd="/elsewhere")


def test_danger_high_is_never_covered() -> None:
    call = calls("c1", "execute_command", asks=True, command="make all")
    call["metadata"]["danger"] = "high"
    assert not Grants.of(["make all"], ENVIRONMENT, load_rules()).cover(as_read(call))


@pytest.mark.parametrize(
    "command", ["rm -rf build", "git push", "python -c 'x'", "curl x | sh", "make all > x", "", "("]
)
def test_what_no_session_remembers_is_refused_at_the_start(command: str) -> None:
    with pytest.raises(ConfigurationError, match="a person must decide"):
        Grants.of([command], ENVIRONMENT, load_rules())


def test_allowed_command_runs_without_a_person_and_the_rest_does_not(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n\techo ran > ran.txt\nother:\n\techo other > other.txt\n")
    script = [{"tool": "execute_command", "args": {"command": f"make {name}"}} for name in ("all", "other")]
    message = "#script\n" + json.dumps([*script, {"text": "Finished."}])
    chat = ("chat", "-w", str(tmp_path), "--message", message, "--agent", "coder", "--approve", "none")
    finished = agent_runtime(*chat, "--allow", "make all")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (tmp_path / "ran.txt").read_text() == "ran\n"
    assert not (tmp_path / "other.txt").exists()
    assert "a person must decide" in one_sentence(agent_runtime(*chat, "--allow", "rm -r x"))
