"""What an editor holds of the workspace's files: its unsaved text is what the user sees, so it is what tools read."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

MAX_BYTES = 2_000_000
"""Larger files are read from the disk alone."""


class Buffers(Protocol):
    """The files of an editor, by the absolute paths that the workspace has located."""

    def read(self, file: Path) -> str | None:
        """Return the text of a file as the editor has it; None where it has none or does not answer."""
        ...

    def write(self, file: Path, text: str) -> bool:
        """Have the editor write a file; False where it does not write, then the client does."""
        ...


def unsaved_bytes(saved: bytes | None, text: str | None) -> bytes | None:
    """Return the bytes that the editor would save; None where it holds nothing else than the disk does.

    An editor may show line ends and a byte order mark differently: that alone is no change.
    """
    if text is None or (saved is None and not text):
        return None
    if saved is None:
        return text.encode("utf-8", "surrogatepass")
    try:
        before = saved.decode("utf-8")
    except UnicodeDecodeError:
        return None  # another encoding: the bytes that the editor would write are not known
    if _plain(before) == _plain(text):
        return None
    if "\r\n" in before and "\n" not in before.replace("\r\n", "") and "\r" not in text:
        text = text.replace("\n", "\r\n")
    return text.encode("utf-8", "surrogatepass")


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")
