"""The files of a workspace before a command, with their content, and what the command made of them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from client.workspace.folder import FileChange, Refusal, Workspace
from client.workspace.journal.listing import Listing, Parts, list_folders, located_at

MAX_FILE_BYTES = 4_000_000
MAX_KEPT_BYTES = 64_000_000
SETTLED_NS = 2_000_000_000
"""A file that was written so shortly before can change again without another time stamp: its content is compared."""
PARTIAL = "not every folder could be looked at; what a command changed there is not known"


@dataclass(frozen=True)
class _Kept:
    """Where the content of one file lies, or why it does not."""

    facts: os.stat_result
    read_ns: int
    place: int = 0
    size: int = 0
    missing: str | None = None

    def holds(self, facts: os.stat_result) -> bool:
        """Whether a file with these facts has the content that was read."""
        touched_ns = max(facts.st_mtime_ns, facts.st_ctime_ns)
        return _stamp(facts) == _stamp(self.facts) and touched_ns + SETTLED_NS < self.read_ns


class Snapshot:
    """Keeps the text files of a workspace in one file of the client's own; what is unchanged is read once."""

    def __init__(self, workspace: Workspace, contents: IO[bytes]) -> None:
        self._workspace = workspace
        self._contents = contents
        self._end = 0
        self._kept: dict[Parts, _Kept] = {}
        self._space = 0

    def take(self) -> Listing:
        """Note the workspace as it is."""
        listing = list_folders(self._workspace)
        if self._end > 2 * MAX_KEPT_BYTES:
            self._kept, self._end = {}, 0
            self._contents.truncate(0)
        known, self._kept, self._space = self._kept, {}, MAX_KEPT_BYTES
        for parts, facts in listing.files():
            kept = known.get(parts)
            if kept is None or not kept.holds(facts) or kept.size > self._space:
                kept = self._read(parts, facts)
            self._kept[parts] = kept
            self._space -= kept.size
        return listing

    def changes(self, before: Listing) -> Iterator[FileChange]:
        """Say what changed since `take`, in an order whose reverse takes it back."""
        after = list_folders(self._workspace, before)
        gone = _gone(before, after)
        for folder, entries in before.folders.items():
            now = {} if folder in gone else after.folders.get(folder)
            for name, old in entries.items() if now is not None else ():
                new = (now or {}).get(name)
                if new is not None and stat.S_IFMT(new.st_mode) == stat.S_IFMT(old.st_mode):
                    yield from self._rewritten((*folder, name), old, new)
                elif (*folder, name) not in gone:
                    yield self._removed((*folder, name), old)
        for folder in reversed(gone):
            facts = before.at(folder)
            mode = stat.S_IMODE(facts.st_mode) if facts is not None else None
            yield FileChange("/".join(folder), b"", None, "folder", mode)
        for folder, entries in after.folders.items():
            for name, new in entries.items():
                known = before.folders.get(folder, {}).get(name)
                if known is None or stat.S_IFMT(new.st_mode) != stat.S_IFMT(known.st_mode):
                    yield from self._created((*folder, name), new, is_listed=(*folder, name) in after.folders)
        if not after.is_whole:
            yield FileChange(".", unkept=PARTIAL)

    def _rewritten(self, parts: Parts, old: os.stat_result, new: os.stat_result) -> Iterator[FileChange]:
        path = "/".join(parts)
        if stat.S_ISDIR(new.st_mode):
            yield from _mode_changed(path, old, new)
            return
        if not stat.S_ISREG(new.st_mode):
            if _stamp(old) != _stamp(new):
                yield FileChange(path, unkept="changed by a command; it is no regular file")
            return
        kept = self._kept[parts]
        if kept.missing is not None:
            if _stamp(old)[:3] != _stamp(new)[:3]:
                yield FileChange(path, unkept=f"changed by a command, not kept: {kept.missing}")
            else:
                yield from _mode_changed(path, old, new)
            return
        if kept.holds(new):
            return
        before, after = self._content(kept), self._now(parts, new)
        if isinstance(after, str):
            yield FileChange(path, unkept=f"changed by a command; now {after}")
        elif before != after:
            yield FileChange(path, before, after, mode=stat.S_IMODE(old.st_mode))
        else:
            yield from _mode_changed(path, old, new)

    def _removed(self, parts: Parts, old: os.stat_result) -> FileChange:
        path, mode = "/".join(parts), stat.S_IMODE(old.st_mode)
        if stat.S_ISDIR(old.st_mode):
            return FileChange(path, unkept="removed by a command; what such a folder holds is not kept")
        if not stat.S_ISREG(old.st_mode):
            return FileChange(path, unkept="removed by a command; it was no regular file")
        kept = self._kept[parts]
        if kept.missing is not None:
            return FileChange(path, unkept=f"removed by a command, not kept: {kept.missing}")
        return FileChange(path, self._content(kept), None, mode=mode)

    def _created(self, parts: Parts, new: os.stat_result, *, is_listed: bool) -> Iterator[FileChange]:
        path = "/".join(parts)
        if stat.S_ISDIR(new.st_mode):
            if is_listed:
                yield FileChange(path, None, b"", "folder")
        elif not stat.S_ISREG(new.st_mode):
            yield FileChange(path, unkept="created by a command; it is no regular file")
        else:
            after = self._now(parts, new)
            if isinstance(after, str):
                yield FileChange(path, unkept=f"created by a command; {after}")
            else:
                yield FileChange(path, None, after)

    def _read(self, parts: Parts, facts: os.stat_result) -> _Kept:
        now_ns = time.time_ns()
        if facts.st_size <= MAX_FILE_BYTES and facts.st_size > self._space:
            return _Kept(facts, now_ns, missing="there was no space left for it")
        content = self._now(parts, facts)
        if isinstance(content, str):
            return _Kept(facts, now_ns, missing=content)
        if b"\0" in content:
            return _Kept(facts, now_ns, missing="it is no text")
        try:
            self._contents.seek(self._end)
            self._contents.write(content)
            self._contents.flush()
        except OSError:
            return _Kept(facts, now_ns, missing="it could not be written to the client's own folder")
        place, self._end = self._end, self._end + len(content)
        return _Kept(facts, now_ns, place, len(content))

    def _content(self, kept: _Kept) -> bytes:
        self._contents.seek(kept.place)
        return self._contents.read(kept.size)

    def _now(self, parts: Parts, facts: os.stat_result) -> bytes | str:
        """The content of a file, or in one phrase why it cannot be had."""
        if facts.st_size > MAX_FILE_BYTES:
            return "it is too large"
        try:
            descriptor = self._workspace.open_file(located_at(self._workspace, parts, facts))
            with os.fdopen(descriptor, "rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (OSError, Refusal):
            return "it cannot be read"
        return content if len(content) <= MAX_FILE_BYTES else "it is too large"


def _stamp(facts: os.stat_result) -> tuple[int, ...]:
    """What tells two contents of a file apart; the last, the time of its inode, changes with its mode too."""
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _mode_changed(path: str, old: os.stat_result, new: os.stat_result) -> Iterator[FileChange]:
    was, now = stat.S_IMODE(old.st_mode), stat.S_IMODE(new.st_mode)
    if was != now:
        yield FileChange(path, unkept=f"a command changed its mode from {was:o} to {now:o}")


def _gone(before: Listing, after: Listing) -> dict[Parts, None]:
    """The folders that are none any more, outer folders first; one that cannot be looked at now is not gone."""
    gone: dict[Parts, None] = {}
    for folder in before.folders:
        now = after.at(folder)
        is_folder = now is not None and stat.S_ISDIR(now.st_mode)
        if folder and (folder[:-1] in gone or (folder[:-1] in after.folders and not is_folder)):
            gone[folder] = None
    return gone
