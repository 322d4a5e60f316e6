"""The content of a file as the user sees it: unsaved text of an editor comes before what the disk holds."""

from __future__ import annotations

import io
import os

from client.workspace.content.buffers import MAX_BYTES, unsaved_bytes
from client.workspace.folder import Located, Workspace, check_regular, check_same, check_unchanged


def opened(workspace: Workspace, located: Located) -> io.FileIO | io.BytesIO:
    """Open a file as the user sees it: unsaved text of an editor comes before what the disk holds."""
    unsaved = _unsaved(workspace, located)
    return io.FileIO(workspace.open_file(located)) if unsaved is None else io.BytesIO(unsaved)


def bytes_of(workspace: Workspace, located: Located) -> bytes | None:
    """Read a located file whole, as the user sees it; None where there is none."""
    unsaved = _unsaved(workspace, located)
    return saved_bytes(workspace, located) if unsaved is None else unsaved


def _unsaved(workspace: Workspace, located: Located) -> bytes | None:
    """What an editor holds of a file and has not saved; the file is checked like one that is read from the disk."""
    if workspace.buffers is None or _size(workspace, located) > MAX_BYTES:
        return None
    saved = saved_bytes(workspace, located)
    text = workspace.buffers.read(located.target)
    check_same(workspace, located)
    return unsaved_bytes(saved, text)


def _size(workspace: Workspace, located: Located) -> int:
    try:
        descriptor = workspace.open_file(located)
    except FileNotFoundError:
        return 0
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def saved_bytes(workspace: Workspace, located: Located) -> bytes | None:
    """Read a located file whole from the disk; None where there is none."""
    try:
        with os.fdopen(workspace.open_file(located), "rb") as file:
            return file.read()
    except FileNotFoundError:
        check_unchanged(located, None)
        return None


def written_by_editor(workspace: Workspace, located: Located, content: bytes, *, create_dirs: bool) -> bool:
    """Have the editor write UTF-8 text, so that its buffer and its review show the change."""
    if workspace.buffers is None:
        return False
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    with workspace.folder_of(located, create=create_dirs) as (name, folder):
        before = facts_at(name, folder)
        if before is not None:
            check_regular(located, before)
        check_unchanged(located, before)
    return workspace.buffers.write(located.target, text)


def facts_at(name: str, folder: int | None) -> os.stat_result | None:
    """Look at an entry of an open folder without following links; None where there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
