"""What the turns of the sessions changed in a workspace; it lies in the user's data folder, old contents too.

In the workspace the old content of a secret file would be a file of another class.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

from client.workspace.precondition import sha256_of
from errors import ConfigurationError

MAX_TURNS = 200
Kind = Literal["file", "folder"]


@dataclass(frozen=True)
class Change:
    """One path and the SHA-256 of its content before and after; None stands for no file. A folder was created."""

    path: str
    before: str | None
    after: str | None
    kind: Kind = "file"


@dataclass
class Turn:
    """The changes of one turn in their order; `undoes` names the turn that an undo took back."""

    id: str
    session: str
    undoes: str | None = None
    changes: list[Change] = field(default_factory=list)


class Journal:
    """The changes of one workspace; several clients may write it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "undo"
        self._file = self._folder / "changes.jsonl"
        self._contents = self._folder / "contents"
        self._contents.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._turn = Turn(_new_id(), "")
        self._prune()

    def begin_turn(self, session: str, *, undoes: str | None = None) -> None:
        """Let the changes that follow belong to a new turn of a session."""
        self._turn = Turn(_new_id(), session, undoes)

    def record(self, path: str, before: bytes | None, after: bytes | None, kind: Kind = "file") -> None:
        """Keep a change that is about to be made: the old content is stored before it can be lost."""
        if before is not None:
            self._store(before)
        change = {
            "path": path,
            "before": None if before is None else sha256_of(before),
            "after": None if after is None else sha256_of(after),
            "kind": kind,
        }
        turn = {"turn": self._turn.id, "session": self._turn.session, "undoes": self._turn.undoes}
        self._append("changes.jsonl", turn | change)

    def content(self, digest: str) -> bytes:
        """The content with a digest."""
        return (self._contents / digest).read_bytes()

    def latest(self, session: str | None, *, is_undo: bool) -> Turn | None:
        """The newest turn, or undo, that was not taken back; of one session or of any.

        Taking back an undo makes the changes again, so it counts as a turn.
        """
        turns = self._turns()
        undoes: dict[str, bool] = {}
        for turn in turns:
            undoes[turn.id] = turn.undoes is not None and not undoes.get(turn.undoes, False)
        taken_back: set[str] = set()
        for turn in reversed(turns):
            if turn.id in taken_back:
                continue
            if turn.undoes is not None:
                taken_back.add(turn.undoes)
            if undoes[turn.id] is is_undo and session in (None, turn.session):
                return turn
        return None

    def tell(self, session: str, sentence: str) -> None:
        """Keep a sentence that the agents of a session are told with its next request."""
        self._append(f"untold-{session}.jsonl", {"sentence": sentence})

    def untold(self, session: str) -> list[str]:
        """Take the sentences that were kept for a session."""
        file = self._folder / f"untold-{session}.jsonl"
        with self._locked():
            sentences = [str(row.get("sentence")) for row in _rows(file)]
            file.unlink(missing_ok=True)
        return sentences

    def _turns(self) -> list[Turn]:
        turns: dict[str, Turn] = {}
        for row in _rows(self._file):
            undoes = row.get("undoes")
            turn = turns.setdefault(str(row["turn"]), Turn(str(row["turn"]), str(row["session"]), undoes))
            kind: Kind = "folder" if row.get("kind") == "folder" else "file"
            turn.changes.append(Change(str(row["path"]), row.get("before"), row.get("after"), kind))
        return list(turns.values())

    def _store(self, content: bytes) -> None:
        file = self._contents / sha256_of(content)
        if file.exists():
            return
        draft = file.with_name(f"{file.name}.{token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
        draft.replace(file)

    def _append(self, name: str, row: dict[str, Any]) -> None:
        with self._locked(), (self._folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _prune(self) -> None:
        """Forget the oldest turns, and the contents that none of the others names."""
        with self._locked():
            turns = self._turns()
            if len(turns) <= MAX_TURNS:
                return
            kept = {turn.id for turn in turns[-MAX_TURNS // 2 :]}
            rows = [row for row in _rows(self._file) if row["turn"] in kept]
            draft = self._file.with_suffix(".new")
            draft.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            draft.replace(self._file)
            named = {row.get("before") for row in rows}
            for content in self._contents.iterdir():
                if content.name not in named:
                    content.unlink()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other clients of this user from writing meanwhile."""
        if sys.platform == "win32":
            yield
            return
        import fcntl

        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _rows(file: Path) -> Iterable[dict[str, Any]]:
    if not file.exists():
        return []
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    except ValueError as error:
        raise ConfigurationError(f"The file {file} cannot be read; remove it.") from error


def _new_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(4)}"
