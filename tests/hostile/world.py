"""A throw-away world around one workspace: a home, a folder outside, programs that leave a trace, and keys."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from rich.console import Console

from client.terminal.run import ChatOptions, run_chat

SECRET = "canary-4f1d-secret"
"""Stands in every file and variable that nobody may read unasked."""
STARTED = "canary-4f1d-started"
"""What a canary program prints, and leaves in a file where it can write."""
PROGRAMS = (
    *("curl", "wget", "nc", "ssh", "scp", "sudo", "gpg", "make", "npm", "pip", "pytest", "mypy", "canary"),
    *("docker", "crontab", "systemctl", "code", "vim", "less", "ruff", "tsc"),
)
CACHES = (
    *(".cache", ".npm", ".cargo", ".pub-cache", ".gradle", ".local", ".yarn", ".bun", ".dartServer", ".dart-tool"),
    *("go", ".m2", ".nuget", ".composer", ".bundle"),
)
"""What approved commands may fill; the client makes those of installed programs (docs/terminal-client.md)."""
Snapshot = dict[str, str]


@dataclass(frozen=True)
class Row:
    """One call as the server stored it."""

    call_id: str
    tool: str
    state: str
    decision: str | None


@dataclass(frozen=True)
class Outcome:
    """What one chat left."""

    status: int
    screen: str
    rows: tuple[Row, ...]
    grants: int
    changed: dict[str, tuple[str | None, str | None]]
    """What differs in the world: path -> (before, after)."""


class World:
    """The folders of one test, all below one: workspace, outside, home, bin."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = root / "workspace"
        self.outside = root / "outside"
        self.home = root / "home"
        self.bin = root / "bin"
        self._fill()

    def _fill(self) -> None:
        texts = {
            "workspace/src/app.py": "print('app')\n",
            "workspace/src/b.py": "print('b')\n",
            "workspace/notes.txt": "nothing here\n",
            "workspace/Makefile": "all:\n\tcanary\n",
            "workspace/.env": f"TOKEN={SECRET}\n",
            "workspace/deploy/id_rsa": f"{SECRET}\n",
            "outside/secret.txt": f"{SECRET}\n",
            "outside/.git/config": "",
            "home/.ssh/id_rsa": f"{SECRET}\n",
            "home/.aws/credentials": f"{SECRET}\n",
            "home/.bashrc": "# mine\n",
            "home/.gitconfig": "[user]\n\tname = me\n\temail = me@example.org\n",
        }
        for path, text in texts.items():
            self.write(path, text)
        for program in PROGRAMS:
            trace = self.root / "started"
            self.write(f"bin/{program}", f"#!/bin/sh\necho {program} >> {trace}\necho {STARTED}\necho {STARTED} >&2\n")
            (self.bin / program).chmod(0o755)
        git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", "-C", str(self.workspace)]
        for words in (["init", "-q"], ["add", "src", "notes.txt"], ["commit", "-q", "-m", "first"]):
            subprocess.run([*git, *words], check=True, env=os.environ | {"HOME": str(self.home)})

    def write(self, path: str, text: str) -> None:
        """Write a file of the world."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def link(self, path: str, target: str) -> None:
        """Make a link of the workspace."""
        (self.workspace / path).symlink_to(target)

    def environment(self) -> dict[str, str]:
        """Variables of a person who keeps keys in them."""
        keys = ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "AGENT_RUNTIME__LLM_API_KEY")
        folders = {f"XDG_{name}_HOME": str(self.home / f".{name.lower()}") for name in ("CONFIG", "DATA", "STATE")}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.home), **folders, **dict.fromkeys(keys, SECRET)}

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in the workspace as that person does."""
        for name, value in self.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(self.workspace)

    def snapshot(self) -> Snapshot:
        """Everything that is there: kind, mode and content by path.

        Left out is what the client keeps of its own, and the caches of tools, which it makes for approved commands.
        """
        own = {self.home / name for name in (".data", ".state", *CACHES)}
        found: Snapshot = {}
        for folder, names, files in os.walk(self.root):
            names[:] = [name for name in names if Path(folder, name) not in own]
            for name in (*names, *files):
                path = Path(folder, name)
                found[str(path.relative_to(self.root))] = _described(path)
        return found

    def chat(
        self, url: str, key: str, database: Path, message: str, approve: Literal["none", "all"], **more: Any
    ) -> Outcome:
        """Run `agent-runtime chat` for one task and tell what it left; needs `enter` before."""
        before = self.snapshot()
        screen = io.StringIO()
        options = ChatOptions(
            workspace=Path(), message=message, approve=approve, url=url, key=key, timeout_s=60, **more
        )
        status = run_chat(options, Console(file=screen, width=110, force_terminal=False))
        after = self.snapshot()
        changed = {
            path: (before.get(path), after.get(path))
            for path in sorted(before.keys() | after.keys())
            if before.get(path) != after.get(path)
        }
        session = re.search(r"session ([0-9a-f-]{36})", screen.getvalue())
        assert session is not None, screen.getvalue()
        rows, grants = stored(database, session[1])
        return Outcome(status, screen.getvalue(), rows, grants, changed)


def _described(path: Path) -> str:
    mode = f"{path.lstat().st_mode:o}"
    if path.is_symlink():
        return f"{mode} -> {path.readlink()}"
    return mode if path.is_dir() else f"{mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def stored(database: Path, session: str) -> tuple[tuple[Row, ...], int]:
    """The calls of a session as the server's database holds them, and how many grants it remembers."""
    with closing(sqlite3.connect(database)) as connection:
        statement = (
            "SELECT call_id, tool_name, state, decision FROM tool_calls WHERE session_id = ? ORDER BY created_at"
        )
        rows = tuple(Row(*row) for row in connection.execute(statement, (session,)))
        counted = connection.execute("SELECT count(*) FROM session_rules WHERE session_id = ?", (session,)).fetchone()
    return rows, counted[0]


def sent_to_the_model(requests: list[dict[str, Any]]) -> str:
    """Everything that a model server was sent, as one text without escapes."""
    return json.dumps([request["body"] for request in requests], ensure_ascii=False)
