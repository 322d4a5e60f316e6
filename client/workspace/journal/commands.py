"""What commands change in a workspace, kept like the changes of other calls."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from client.workspace.folder import ChangeLog, FileChange, Workspace
from client.workspace.journal.snapshot import Snapshot

MAX_SHOWN = 20
MAX_SHOWN_BYTES = 200_000


class CommandChanges:
    """Notes the files of one workspace before its commands, and keeps in the journal what became of them."""

    def __init__(self, workspace: Workspace, journal: ChangeLog) -> None:
        self._workspace = workspace
        self._journal = journal
        contents = journal.scratch_file()
        self._snapshot = Snapshot(workspace, contents)
        weakref.finalize(self, contents.close)

    @contextmanager
    def noting(self, shown: list[FileChange]) -> Iterator[None]:
        """Keep what changes inside the block; the first changes that are small enough are added to `shown`.

        What another client of this user keeps meanwhile is its change.
        """
        before = self._snapshot.take()
        position = self._journal.position()
        try:
            yield
        finally:
            others = self._journal.paths_since(position)
            for change in self._snapshot.changes(before):
                if change.path in others:
                    continue
                self._journal.record(change)
                if change.path != ".":
                    self._workspace.note_change(change.path)
                if len(shown) < MAX_SHOWN and _is_small(change):
                    shown.append(change)


def _is_small(change: FileChange) -> bool:
    size = len(change.before or b"") + len(change.after or b"")
    return change.kind == "file" and change.unkept is None and size <= MAX_SHOWN_BYTES
