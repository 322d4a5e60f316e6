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


def walk(workspace: Workspace, top: Located, *, recursive: bool = True, hidden: bool = True) -> Iterator[Entry]:
    """Yield what a located folder holds, each folder before its content; the client's own folder is left out."""
    if not HAS_FOLDER_HANDLES:
        yield from _walk(str(top.target), (), recursive=recursive, hidden=hidden)
        return
    handle = workspace.open_folder(top)
    try:
        yield from _walk(handle, (), recursive=recursive, hidden=hidden)
    finally:
        os.close(handle)


def _walk(folder: int | str, above: tuple[str, ...], *, recursive: bool, hidden: bool) -> Iterator[Entry]:
    for name in sorted(os.listdir(folder)):
        if name == OWN_FOLDER or (name.startswith(".") and not hidden):
            continue
        try:
            entry = Entry((*above, name), _look_at(name, folder))
        except FileNotFoundError:
            continue
        yield entry
        if recursive and entry.is_folder and name not in NOISE:
            yield from _enter(name, folder, entry.parts, hidden=hidden)


def _enter(name: str, folder: int | str, above: tuple[str, ...], *, hidden: bool) -> Iterator[Entry]:
    """Walk one folder further down; one that cannot be opened, or was just replaced by a link, stays closed."""
    if isinstance(folder, str):
        yield from _walk(os.path.join(folder, name), above, recursive=True, hidden=hidden)
        return
    try:
        inner = os.open(name, FOLDER_FLAGS, dir_fd=folder)
    except OSError:
        return
    try:
        yield from _walk(inner, above, recursive=True, hidden=hidden)
    finally:
        os.close(inner)


def _look_at(name: str, folder: int | str) -> os.stat_result:
    if isinstance(folder, str):
        return os.lstat(os.path.join(folder, name))
    return os.stat(name, dir_fd=folder, follow_symlinks=False)
