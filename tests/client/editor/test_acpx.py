"""`acpx`, a headless editor from the npm registry, end to end against `agent-runtime acp`."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.client.processes import running, wait_until_ended
from tests.client.terminal.person import COMMAND

ACPX = shutil.which("acpx")
DEADLINE_S = 120.0
REFUSED = 5
"""The exit status of acpx when every permission was refused."""
pytestmark = [
    pytest.mark.skipif(ACPX is None, reason="acpx is not installed: npm install --global acpx@0.19.1"),
    pytest.mark.timeout(600),
]


def command(*arguments: str) -> list[str]:
    return [str(ACPX), "--agent", f"{COMMAND} acp", "--ttl", "1", *arguments]


def acpx(cwd: Path, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_session_with_read_approved_write_load_after_a_restart_and_cancel(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    acpx(tmp_path, "--approve-all", "sessions", "new")
    said = acpx(tmp_path, "--approve-all", "prompt", 'explain a.txt, then create notes.txt with "hello"')
    assert "a.txt, lines: 1." in said
    assert (tmp_path / "notes.txt").read_text() == "hello"
    deadline = time.monotonic() + DEADLINE_S
    while running_agents():
        assert time.monotonic() < deadline, "the agent of the first prompt does not end"
        time.sleep(0.1)
    prompt = subprocess.Popen(
        command("--approve-all", "prompt", "run `sleep 63.25`"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not running("sleep", "63.25"):
        assert time.monotonic() < deadline, "the command does not run"
        time.sleep(0.1)
    acpx(tmp_path, "cancel")
    output, _ = prompt.communicate(timeout=DEADLINE_S)
    wait_until_ended("sleep", "63.25")
    assert "cancelled" in output
    acpx(tmp_path, "sessions", "close")


def test_nothing_is_written_where_permissions_are_denied(tmp_path: Path) -> None:
    options = ("--approve-reads", "--non-interactive-permissions", "deny")
    said = acpx(tmp_path, *options, "exec", 'create no.txt with "x"', status=REFUSED)
    assert "rejected" in said
    assert not (tmp_path / "no.txt").exists()


def running_agents() -> list[str]:
    """The agents that acpx started with the home of this test."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, variables = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"agent-runtime\0acp" in words and f"HOME={os.environ['HOME']}".encode() in variables:
            found.append(entry.name)
    return found
