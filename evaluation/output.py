"""Files that an evaluation writes: never through a link, which a repository may contain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TextIO

from errors import ConfigurationError


def refuse_links(path: Path) -> None:
    """Raise ConfigurationError for a link at a file or its folder, and anywhere on a path below the current folder.

    A repository controls the content of the current folder; links above it belong to the person.
    """
    for component in (path, path.parent) if path.is_absolute() else (path, *path.parents):
        if component.is_symlink():
            raise ConfigurationError(f"'{component}' is a link and is not written through: name what it stands for.")


def open_unlinked(path: Path, mode: Literal["w", "a"]) -> TextIO:
    """Open a file for writing or appending, its folder made when needed; raises ConfigurationError for a link."""
    refuse_links(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if mode == "w" else os.O_APPEND) | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), mode, encoding="utf-8")
