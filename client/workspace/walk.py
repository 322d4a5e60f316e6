"""What lies below a folder, in the order of its names; links are named and never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from client.workspace.folder import FOLDER_FLAGS, HAS_FOLDER_HANDLES, OWN_FOLDER, Located, Workspace

NOISE = frozenset({".git", ".hg", ".svn", OWN_FOLDER, ".venv", "node_modules", "__pycache__"})
"""Folders that walks name and do not enter."""


@dataclass(frozen=True)
class Entry:
    """One name below a folder."""

    parts: tuple[str, ...]
    """The components below the folder where the walk began."""
    facts: os.stat_result
    """Of the entry itself: a link is a link."""

    @property
    def name(self) -> str:
        """The last component."""
        return self.parts[-1]

    @property
    def below(self) -> str:
        """The path below the folder where the walk began, with forward slashes."""
        return "/".join(self.parts)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.facts.st_mode)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, not a link to one."""
        return stat.S_ISDIR(self.facts.st_mode)


@dataclass(frozen=True)
class Extent:
    """How far a walk goes."""

    recursive: bool = True
    hidden: bool = True
    noise: frozenset[str] = NOISE
    """Folders that are named and not entered."""


def walk(workspace: Workspace, top: Located, extent: Extent | None = None) -> Iterator[Entry]:
    """Yield what a located folder holds, each folder before its content; the client's own folder is left out."""
    extent = extent or Extent()
    if not HAS_FOLDER_HANDLES:
        yield from _walk(str(top.target), (), extent)
        return
    handle = workspace.open_folder(top)
    try:
        yield from _walk(handle, (), extent)
    finally:
        os.close(handle)


def _walk(folder: int | str, above: tuple[str, ...], extent: Extent) -> Iterator[Entry]:
    for name in sorted(os.listdir(folder)):
        if name == OWN_FOLDER or (name.startswith(".") and not extent.hidden):
            continue
        try:
            entry = Entry((*above, name), _look_at(name, folder))
        except FileNotFoundError:
            continue
        yield entry
        if extent.recursive and entry.is_folder and name not in extent.noise:
            yield from _enter(name, folder, entry.parts, extent)


def _enter(name: str, folder: int | str, above: tuple[str, ...], extent: Extent) -> Iterator[Entry]:
    """Walk one folder further down; one that cannot be opened, or was just replaced by a link, stays closed."""
    if isinstance(folder, str):
        yield from _walk(os.path.join(folder, name), above, extent)
        return
    try:
        inner = os.open(name, FOLDER_FLAGS, dir_fd=folder)
    except OSError:
        return
    try:
        yield from _walk(inner, above, extent)
    finally:
        os.close(inner)


def _look_at(name: str, folder: int | str) -> os.stat_result:
    if isinstance(folder, str):
        return os.lstat(os.path.join(folder, name))
    return os.stat(name, dir_fd=folder, follow_symlinks=False)
