"""The one folder in which tool calls may act: every path is resolved, contained, and opened without following links."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from policy.paths.classes import CONFIG_DIRECTORY

OWN_FOLDER = CONFIG_DIRECTORY
"""Backups live here, so that nothing appears beside the user's files."""

NOISE = frozenset({".git", ".hg", ".svn", OWN_FOLDER, ".venv", "node_modules", "__pycache__"})
"""Folders that walks leave out."""

# Without dir_fd (Windows) the check before the open is all there is.
_HAS_FOLDER_HANDLES = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


class Refusal(Exception):
    """The tool call cannot be done; the message is one sentence for the model."""


class Workspace:
    """A folder, and the rules by which paths in tool calls reach into it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)
        if not self.root.is_dir():
            raise NotADirectoryError(str(root))
        self.changed: list[str] = []
        """What the tool calls wrote or created, in order, without repeats."""

    def environment(self) -> dict[str, Any]:
        """Describe this machine as the protocol's `environment`."""
        shell = find_shell()
        declared = {
            "os": {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux"),
            "workspace_root": self.root.as_posix(),
            "has_git": (self.root / ".git").exists(),
        }
        return declared | ({"shell": shell.name.removesuffix(".exe")} if shell else {})

    def locate(self, path: str) -> Path:
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
        return target

    def locate_for_write(self, path: str) -> Path:
        """Resolve a path that is about to be written; the workspace itself and the client's own folder are refused."""
        target = self.locate(path)
        if target == self.root:
            raise Refusal(f"Path '{path}' is the workspace itself.")
        if target.relative_to(self.root).parts[0].casefold() == OWN_FOLDER:
            raise Refusal(f"Path '{path}' belongs to the terminal client, which keeps its backups there.")
        return target

    def name_of(self, target: Path) -> str:
        """Name a located path as tool calls do: relative, with forward slashes."""
        return target.relative_to(self.root).as_posix()

    @contextmanager
    def folder_of(self, target: Path, *, create: bool = False) -> Iterator[tuple[str, int | None]]:
        """Hold the folder of a located path open and yield (name to use, handle of the folder).

        Each step opens one component and refuses links, so a component that was swapped for a link after
        `locate` cannot lead anywhere else.
        """
        parts = target.relative_to(self.root).parts
        if not _HAS_FOLDER_HANDLES:
            if create:
                target.parent.mkdir(parents=True, exist_ok=True)
            yield str(self.locate(str(target))), None
            return
        handle = os.open(self.root, _FOLDER_FLAGS)
        try:
            for part in parts[:-1]:
                if create:
                    _make_folder(part, handle)
                inner = os.open(part, _FOLDER_FLAGS, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield (parts[-1] if parts else "."), handle
        finally:
            os.close(handle)

    def open_file(self, target: Path) -> int:
        """Open a located regular file for reading and give its descriptor."""
        # Without O_NONBLOCK the open of a named pipe would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with self.folder_of(target) as (name, folder):
            descriptor = os.open(name, flags, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Refusal(f"Path '{self.name_of(target)}' is not a regular file.")
        return descriptor

    def note_change(self, target: Path) -> None:
        """Remember that a path was written or created."""
        name = self.name_of(target)
        if name not in self.changed:
            self.changed.append(name)


def _make_folder(name: str, parent: int) -> None:
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        return


def find_shell() -> Path | None:
    """Find the shell in which commands run: bash when there is one, else sh."""
    found = shutil.which("bash") or shutil.which("sh")
    return Path(found) if found else None


def reason_of(error: Exception) -> str:
    """Say why a system call failed, without paths and error numbers."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")
