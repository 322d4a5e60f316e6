"""What the turns of the sessions changed in a workspace; it lies in the user's data folder, old contents too.

In the workspace the old content of a secret file would be a file of another class.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

from client.workspace.folder import FileChange, Kind
from client.workspace.precondition import sha256_of
from errors import ConfigurationError

MAX_TURNS = 200
MAX_STORED_BYTES = 500_000_000
"""Of old contents; the turns before are forgotten."""


@dataclass(frozen=True)
class Change:
    """One path and the SHA-256 of its content before and after; None stands for no file, or folder."""

    path: str
    before: str | None
    after: str | None
    kind: Kind = "file"
    mode: int | None = None
    """The permission bits before a command."""
    unkept: str | None = None
    """Why the change cannot be taken back."""


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
        for made in (self._folder, self._contents):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._turn = Turn(_new_id(), "")
        self._prune()

    def begin_turn(self, session: str, *, undoes: str | None = None) -> None:
        """Let the changes that follow belong to a new turn of a session."""
        self._turn = Turn(_new_id(), session, undoes)
        if undoes is not None:  # an undo counts even where it could put nothing back
            self._append("changes.jsonl", self._facts())

    def record(self, change: FileChange) -> None:
        """Keep a change that is about to be made: the old content is stored before it can be lost."""
        if change.before is not None and change.kind == "file":
            self._store(change.before)
        row: dict[str, Any] = {
            "path": change.path,
            "before": None if change.before is None else sha256_of(change.before),
            "after": None if change.after is None else sha256_of(change.after),
            "kind": change.kind,
        }
        more = {"mode": change.mode, "unkept": change.unkept}
        row |= {name: value for name, value in more.items() if value is not None}
        self._append("changes.jsonl", self._facts() | row)

    def position(self) -> int:
        """Where the next change will be kept."""
        return self._file.stat().st_size if self._file.exists() else 0

    def paths_since(self, position: int) -> set[str]:
        """The paths whose changes were kept behind a position."""
        with self._locked():
            if self.position() <= position:
                return set()
            with self._file.open("rb") as file:
                file.seek(position)
                return {str(json.loads(line).get("path")) for line in file}

    def scratch_file(self) -> IO[bytes]:
        """A file without a name in the client's own folder; it is gone when it is closed."""
        return tempfile.TemporaryFile(dir=self._folder)

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

    def _facts(self) -> dict[str, Any]:
        return {"turn": self._turn.id, "session": self._turn.session, "undoes": self._turn.undoes}

    def _turns(self) -> list[Turn]:
        turns: dict[str, Turn] = {}
        for row in _rows(self._file):
            undoes = row.get("undoes")
            turn = turns.setdefault(str(row["turn"]), Turn(str(row["turn"]), str(row["session"]), undoes))
            if "path" in row:
                turn.changes.append(Change(**{name: row[name] for name in _FIELDS if name in row}))
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
            sizes = {content.name: content.stat().st_size for content in self._contents.iterdir()}
            if len(turns) <= MAX_TURNS and sum(sizes.values()) <= MAX_STORED_BYTES:
                return
            kept = _newest(turns, sizes)
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


_FIELDS = tuple(field.name for field in fields(Change))


def _newest(turns: Sequence[Turn], sizes: Mapping[str, int]) -> set[str]:
    """The ids of the newest turns that fill half of the limits; `sizes` are those of the contents, in bytes."""
    kept: set[str] = set()
    counted: set[str] = set()
    for turn in reversed(turns[-MAX_TURNS // 2 :]):
        counted |= {change.before for change in turn.changes if change.before}
        if sum(sizes.get(digest, 0) for digest in counted) > MAX_STORED_BYTES // 2:
            break
        kept.add(turn.id)
    return kept


def _rows(file: Path) -> Iterable[dict[str, Any]]:
    if not file.exists():
        return []
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    except ValueError as error:
        raise ConfigurationError(f"The file {file} cannot be read; remove it.") from error


def _new_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(4)}"
