"""The one folder in which tool calls may act: every path is resolved, contained, and opened without following links."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from client.workspace.content.buffers import Buffers
from client.workspace.variables import path_outside
from errors import ConfigurationError
from policy.paths.classes import CONFIG_DIRECTORY

OWN_FOLDER = CONFIG_DIRECTORY
"""Backups live here, so that nothing appears beside the user's files."""

MAX_NAMED = 20

# Without dir_fd (Windows) the check before the open is all there is.
HAS_FOLDER_HANDLES = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_BRANCH = re.compile(rb"ref: refs/heads/([A-Za-z0-9._/+-]{1,200})\n?")
FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def _checked_out_branch(root: Path) -> str | None:
    """Read the branch from `.git/HEAD`: git itself would run what the repository's configuration names."""
    head = root / ".git" / "HEAD"
    try:
        if not stat.S_ISREG(os.lstat(head).st_mode):
            return None
        with head.open("rb") as file:
            found = _BRANCH.fullmatch(file.read(300))
    except OSError:
        return None  # a folder without a repository of its own has no branch
    return found[1].decode() if found else None


class Refusal(Exception):
    """The tool call cannot be done; the message is one sentence for the model."""


@dataclass(frozen=True)
class Identity:
    """Which file or folder a name stood for: its device and its inode."""

    device: int
    inode: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Identity:
        """Read the identity of what was opened or looked at."""
        return cls(facts.st_dev, facts.st_ino)


@dataclass(frozen=True)
class Located:
    """A path of a tool call, resolved once: what is judged and shown under this name is what is opened."""

    written: str
    """The path as the call wrote it."""
    target: Path
    """The absolute path without links."""
    name: str
    """The target relative to the workspace, with forward slashes; `.` is the workspace itself."""
    folder: Identity | None
    """The folder of the target, None where it does not exist."""
    file: Identity | None
    """The target itself, None where it does not exist."""
    is_renamed: bool = False
    """Whether a link led elsewhere than the path says."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The components of the name; none for the workspace itself."""
        return () if self.name == "." else tuple(self.name.split("/"))


Kind = Literal["file", "folder"]


@dataclass(frozen=True)
class FileChange:
    """A change of one path; `before` and `after` are its contents, None stands for none, empty bytes for a folder."""

    path: str
    before: bytes | None = None
    after: bytes | None = None
    kind: Kind = "file"
    mode: int | None = None
    """The permission bits before a command."""
    unkept: str | None = None
    """Why the change cannot be taken back."""


class ChangeLog(Protocol):
    """Keeps what tool calls change (see Journal)."""

    def record(self, change: FileChange) -> None:
        """Keep a change that is about to be made."""
        ...

    def begin_turn(self, session: str, *, undoes: str | None = None) -> None:
        """Let the changes that follow belong to a new turn."""
        ...

    def untold(self, session: str) -> list[str]:
        """Take what the agents of a session are to be told."""
        ...

    def position(self) -> int:
        """Where the next change will be kept."""
        ...

    def paths_since(self, position: int) -> set[str]:
        """The paths whose changes were kept behind a position."""
        ...

    def scratch_file(self) -> IO[bytes]:
        """A file without a name in the client's own folder."""
        ...


class Workspace:
    """A folder, and the rules by which paths in tool calls reach into it."""

    def __init__(self, root: Path, buffers: Buffers | None = None) -> None:
        self.root = root.resolve(strict=True)
        if not self.root.is_dir():
            raise NotADirectoryError(str(root))
        self.journal: ChangeLog | None = None
        """Where changes are kept, so that they can be taken back."""
        self.buffers = buffers
        """The editor's files, where an editor is the client."""
        self.changed: list[str] = []
        """What the tool calls changed, in order, without repeats."""

    def environment(self) -> dict[str, Any]:
        """Describe this machine as the protocol's `environment`."""
        shell = self.shell()
        declared = {
            "os": {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux"),
            "workspace_root": self.root.as_posix(),
            "has_git": (self.root / ".git").exists(),
            "date": datetime.now().astimezone().date().isoformat(),
        }
        branch = _checked_out_branch(self.root)
        declared |= {"git_branch": branch} if branch else {}
        return declared | ({"shell": shell.name.removesuffix(".exe")} if shell else {})

    def shell(self) -> Path | None:
        """Find the shell in which commands run: bash when there is one, else sh; never one of the workspace."""
        path = path_outside(self.root)
        found = shutil.which("bash", path=path) or shutil.which("sh", path=path)
        return Path(found) if found else None

    def locate(self, path: str) -> Located:
        """Resolve a tool call's path, links included, or refuse it when it leads out of the workspace."""
        if not path.strip() or "\0" in path:
            raise Refusal("The path is empty or not a path.")
        written = path.replace("\\", "/") if os.sep == "\\" else path
        try:
            target = (self.root / written).resolve()
        except (OSError, RuntimeError) as error:
            raise Refusal(f"Path '{path}' cannot be resolved: {reason_of(error)}.") from error
        if target != self.root and self.root not in target.parents:
            raise Refusal(f"Path '{path}' leads out of the workspace.")
        name = target.relative_to(self.root).as_posix()
        said = unicodedata.normalize("NFC", os.path.normcase(os.path.normpath(self.root / written)))
        is_renamed = said != unicodedata.normalize("NFC", os.path.normcase(target))
        return Located(path, target, name, _identity_at(target.parent), _identity_at(target), is_renamed)

    def locate_for_write(self, path: str) -> Located:
        """Resolve a path that is about to be written; the workspace itself and the client's own folder are refused."""
        located = self.locate(path)
        if not located.parts:
            raise Refusal(f"Path '{path}' is the workspace itself.")
        if located.parts[0].casefold() == OWN_FOLDER:
            raise Refusal(f"Path '{path}' belongs to the terminal client, which keeps its backups there.")
        return located

    def own_file(self, name: str) -> Located:
        """Name a file of the client's own folder; a link anywhere on its way makes the open fail."""
        name = f"{OWN_FOLDER}/{name}"
        target = self.root / name
        return Located(name, target, name, _identity_at(target.parent), _identity_at(target))

    @contextmanager
    def folder_of(self, located: Located, *, create: bool = False) -> Iterator[tuple[str, int | None]]:
        """Hold the folder of a located path open and yield (name to use, handle of the folder).

        Each step opens one component and refuses links, so a component that was swapped for a link after
        `locate` cannot lead anywhere else; a folder other than the located one is refused.
        """
        if not HAS_FOLDER_HANDLES:
            if create:
                located.target.parent.mkdir(parents=True, exist_ok=True)
            if self.locate(str(located.target)).target != located.target:
                raise _changed(located)
            yield str(located.target), None
            return
        handle = os.open(self.root, FOLDER_FLAGS)
        try:
            for part in located.parts[:-1]:
                if create:
                    _make_folder(part, handle)
                inner = _open_unlinked(part, FOLDER_FLAGS, handle, located)
                os.close(handle)
                handle = inner
            if located.parts and located.folder not in (None, Identity.of(os.fstat(handle))):
                raise _changed(located)
            yield (located.parts[-1] if located.parts else "."), handle
        finally:
            os.close(handle)

    def open_file(self, located: Located) -> int:
        """Open a located regular file for reading and give its descriptor."""
        # Without O_NONBLOCK the open of a named pipe would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with self.folder_of(located) as (name, folder):
            descriptor = _open_unlinked(name, flags, folder, located)
        try:
            facts = os.fstat(descriptor)
            check_regular(located, facts)
            check_unchanged(located, facts)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def open_folder(self, located: Located) -> int:
        """Open a located folder and give its descriptor; only where folders have handles."""
        with self.folder_of(located) as (name, folder):
            descriptor = _open_unlinked(name, FOLDER_FLAGS, folder, located)
        try:
            check_unchanged(located, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def note_change(self, name: str) -> None:
        """Remember that a path was written, created or removed."""
        if name not in self.changed:
            self.changed.append(name)


def workspace_at(path: Path) -> Workspace:
    """Open a folder as a workspace; raises ConfigurationError for what is none."""
    try:
        return Workspace(path)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"The workspace '{path}' is not a folder that can be used.") from error


def check_regular(located: Located, facts: os.stat_result) -> None:
    """Refuse folders, pipes and devices."""
    if not stat.S_ISREG(facts.st_mode):
        raise Refusal(f"Path '{located.name}' is not a regular file.")


def check_unchanged(located: Located, facts: os.stat_result | None) -> None:
    """Refuse a file that is not the one that was located; `facts` is None where there is none now."""
    found = Identity.of(facts) if facts is not None else None
    if HAS_FOLDER_HANDLES and found != located.file:
        raise _changed(located)


def check_same(workspace: Workspace, located: Located) -> None:
    """Refuse a name that does not lead to what was located any more."""
    now = workspace.locate(located.written)
    if (now.target, now.file) != (located.target, located.file):
        raise _changed(located)


def _changed(located: Located) -> Refusal:
    return Refusal(f"Path '{located.written}' was replaced after it was checked; nothing was done. Try again.")


def _open_unlinked(name: str, flags: int, folder: int | None, located: Located) -> int:
    """Open one component of a resolved path: a link there was put there after it was resolved."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise _changed(located) from None
        raise


def _identity_at(path: Path) -> Identity | None:
    try:
        return Identity.of(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _make_folder(name: str, parent: int) -> None:
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        return


def listed(paths: Sequence[str]) -> str:
    """Name some paths, the first of many."""
    named = ", ".join(paths[:MAX_NAMED])
    return named if len(paths) <= MAX_NAMED else f"{named} and {len(paths) - MAX_NAMED} more"


def reason_of(error: Exception) -> str:
    """Say why a system call failed, without paths and error numbers."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")
