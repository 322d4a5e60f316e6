"""What lies in the folders of a workspace at one moment, within a bound; links are named and never followed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from client.workspace.folder import HAS_FOLDER_HANDLES, OWN_FOLDER, Identity, Located, Refusal, Workspace
from client.workspace.walk import NOISE

MAX_ENTRIES = 20_000
"""Names that are looked at; a folder that does not fit any more is left out whole."""
UNLISTED = NOISE | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".dart_tool", ".gradle", ".next", ".cache"}
"""Folders that are not looked into: version control, installed packages, caches of tools."""
Parts = tuple[str, ...]


@dataclass
class Listing:
    """The entries of each folder, outer folders first."""

    folders: dict[Parts, dict[str, os.stat_result]] = field(default_factory=dict)
    is_whole: bool = True
    """Whether every folder could be looked at."""

    def at(self, parts: Parts) -> os.stat_result | None:
        """What was found under a name; None where nothing was."""
        return self.folders.get(parts[:-1], {}).get(parts[-1]) if parts else None

    def files(self) -> Iterator[tuple[Parts, os.stat_result]]:
        """Yield the regular files."""
        for folder, entries in self.folders.items():
            for name, facts in entries.items():
                if stat.S_ISREG(facts.st_mode):
                    yield (*folder, name), facts


def list_folders(workspace: Workspace, known: Listing | None = None) -> Listing:
    """List the folders of a workspace, the outer ones first.

    With an earlier listing only its folders and those that are new since are looked at, and only new names count.
    """
    listing = Listing(is_whole=known is None or known.is_whole)
    left = MAX_ENTRIES
    waiting = deque([workspace.locate(".")])
    while waiting:
        folder = waiting.popleft()
        expected = len(known.folders.get(folder.parts, {})) if known is not None else 0
        entries = _entries(workspace, folder, left + expected)
        if entries is None:
            listing.is_whole = False
            continue
        left -= max(0, len(entries) - expected)
        listing.folders[folder.parts] = entries
        for name, facts in entries.items():
            parts = (*folder.parts, name)
            if stat.S_ISDIR(facts.st_mode) and name not in UNLISTED and _is_entered(parts, known):
                waiting.append(located_at(workspace, parts, facts))
    return listing


def _is_entered(parts: Parts, known: Listing | None) -> bool:
    """Whether a folder belongs to the listing: one that was left out before cannot be compared."""
    if known is None or parts in known.folders:
        return True
    before = known.at(parts)
    return before is None or not stat.S_ISDIR(before.st_mode)


def located_at(workspace: Workspace, parts: Parts, facts: os.stat_result) -> Located:
    """What a listing found, so that nothing else is opened under its name."""
    name = "/".join(parts)
    return Located(name, workspace.root.joinpath(*parts), name, None, Identity.of(facts))


def _entries(workspace: Workspace, folder: Located, limit: int) -> dict[str, os.stat_result] | None:
    """The entries of one folder; None where there are more than `limit` or it cannot be opened."""
    found: dict[str, os.stat_result] = {}
    try:
        handle = workspace.open_folder(folder) if HAS_FOLDER_HANDLES else None
        try:
            with os.scandir(folder.target if handle is None else handle) as entries:
                for entry in entries:
                    if len(found) >= limit:
                        return None
                    if folder.parts or entry.name != OWN_FOLDER:
                        with contextlib.suppress(FileNotFoundError):  # it vanished meanwhile
                            found[entry.name] = entry.stat(follow_symlinks=False)
        finally:
            if handle is not None:
                os.close(handle)
    except (OSError, Refusal):
        return None
    return dict(sorted(found.items()))
