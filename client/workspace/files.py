"""The tools for files and folders: read_file, write_file, list_files, glob, create_directory."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Any

from client.workspace.content.reading import bytes_of, facts_at, opened, written_by_editor
from client.workspace.folder import FileChange, Located, Refusal, Workspace, check_regular, check_unchanged
from client.workspace.precondition import Precondition, sha256_of
from client.workspace.walk import Entry, Extent, walk
from policy.paths.globs import check_glob, glob_matches

MAX_READ_CHARS = 2_000_000
MAX_LISTED = 5_000


def read_file(workspace: Workspace, arguments: dict[str, Any], located: Located) -> dict[str, Any]:
    """Read a text file, or its lines start_line to end_line (1-based, inclusive).

    A read of the whole file carries `sha256` of its bytes, which a later write is bound to.
    """
    path, encoding = str(arguments["path"]), str(arguments.get("encoding", "utf-8"))
    start, end = arguments.get("start_line", 1), arguments.get("end_line")
    if end is not None and end < start:
        raise Refusal(f"end_line {end} lies before start_line {start}.")
    lines: list[str] = []
    size = 0
    with opened(workspace, located) as raw:
        file = _Hashed(raw)
        try:
            # newline="" keeps CR and LF as they are: a later write must not change the line ends.
            with io.TextIOWrapper(io.BufferedReader(file), encoding=encoding, newline="") as text:
                for line in islice(_bounded_lines(text), start - 1, end):
                    size += len(line)
                    if size > MAX_READ_CHARS:
                        raise Refusal(
                            f"File '{path}' is too large to be read at once ({MAX_READ_CHARS} characters); "
                            "use start_line and end_line."
                        )
                    lines.append(line)
        except LookupError as error:
            raise Refusal(f"There is no text encoding '{encoding}'.") from error
        except UnicodeError as error:
            raise Refusal(f"File '{path}' is not {encoding} text.") from error
    result = {"success": True, "content": "".join(lines), "lines_read": len(lines)}
    return result | ({"sha256": file.sha256} if start == 1 and end is None else {})


class _Hashed(io.RawIOBase):
    """A file that is read once: for its text and for the digest of its bytes."""

    def __init__(self, file: io.FileIO | io.BytesIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self._digest.update(memoryview(buffer)[:count])
        return count

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _bounded_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Yield lines; one that never ends comes in pieces, so that memory stays bounded."""
    while line := text.readline(MAX_READ_CHARS + 1):
        yield line


def write_file(
    workspace: Workspace, arguments: dict[str, Any], located: Located, precondition: Precondition | None = None
) -> dict[str, Any]:
    """Write a text file in one step; what it replaces is kept below `.agent-runtime/backups`."""
    path, encoding = str(arguments["path"]), str(arguments.get("encoding", "utf-8"))
    try:
        content = str(arguments["content"]).encode(encoding)
    except LookupError as error:
        raise Refusal(f"There is no text encoding '{encoding}'.") from error
    except UnicodeError as error:
        raise Refusal(f"The content cannot be written as {encoding}.") from error
    create_dirs = bool(arguments.get("create_dirs", False))
    if not create_dirs and located.folder is None:
        raise Refusal(f"The folder of '{path}' does not exist; create it first or set create_dirs.")
    before = bytes_of(workspace, located)
    if precondition is not None:
        precondition.check(before)
    result: dict[str, Any] = {"success": True, "bytes_written": len(content), "sha256": sha256_of(content)}
    keeps_backup = bool(arguments.get("backup", True))
    backup = replace_file(
        workspace, located, content, before=before, keeps_backup=keeps_backup, create_dirs=create_dirs
    )
    return result | ({"backup_path": backup} if backup else {})


def replace_file(
    workspace: Workspace,
    located: Located,
    content: bytes,
    *,
    before: bytes | None,
    keeps_backup: bool = True,
    create_dirs: bool = False,
    mode: int | None = None,
) -> str | None:
    """Replace or create a file in one step; gives the name of the backup where `before`, its content, was kept.

    `mode` are its permission bits where it is not to keep those that it has.
    """
    backup = None
    if keeps_backup and before is not None and before != content:
        backup = _keep_backup(workspace, located, before)
    if workspace.journal is not None and before != content:
        if create_dirs:
            _note_parents(workspace, located)
        workspace.journal.record(FileChange(located.name, before, content))
    if not written_by_editor(workspace, located, content, create_dirs=create_dirs):
        _replace(workspace, located, content, create_dirs=create_dirs, mode=mode)
    workspace.note_change(located.name)
    return backup


def remove_file(workspace: Workspace, located: Located, before: bytes | None) -> None:
    """Remove a located file; `before` is its content."""
    with workspace.folder_of(located) as (name, folder):
        facts = facts_at(name, folder)
        check_unchanged(located, facts)
        if workspace.journal is not None and facts is not None:
            workspace.journal.record(FileChange(located.name, before, None, mode=stat.S_IMODE(facts.st_mode)))
        os.unlink(name, dir_fd=folder)


def remove_folder(workspace: Workspace, located: Located) -> None:
    """Remove a located folder; one with files in it is refused, it is somebody's."""
    with workspace.folder_of(located) as (name, folder):
        if os.listdir(located.target):
            raise Refusal("the folder is not empty")
        if workspace.journal is not None:
            mode = stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
            workspace.journal.record(FileChange(located.name, b"", None, "folder", mode))
        os.rmdir(name, dir_fd=folder)


def make_folder(workspace: Workspace, located: Located, mode: int = 0o777) -> bool:
    """Create a located folder with its parents; False where it exists already."""
    _note_parents(workspace, located)
    with workspace.folder_of(located, create=True) as (name, folder):
        try:
            os.mkdir(name, mode, dir_fd=folder)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise Refusal(f"'{located.written}' exists and is not a folder.") from None
            return False
    if workspace.journal is not None:
        workspace.journal.record(FileChange(located.name, None, b"", "folder"))
    return True


def _note_parents(workspace: Workspace, located: Located) -> None:
    """Keep which folders on the way to a path are about to be created."""
    for depth in range(1, len(located.parts)):
        parent = "/".join(located.parts[:depth])
        if workspace.journal is not None and not os.path.lexists(workspace.root / parent):
            workspace.journal.record(FileChange(parent, None, b"", "folder"))


def _keep_backup(workspace: Workspace, located: Located, content: bytes) -> str:
    """Store what a write replaces under its own name, so that the backup of a secret is a secret; git ignores it."""
    ignored = workspace.own_file(".gitignore")
    if ignored.file is None:
        _replace(workspace, ignored, b"/backups/\n/.gitignore\n", create_dirs=True)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    backup = workspace.own_file(f"backups/{moment}/{located.name}")
    _replace(workspace, backup, content, create_dirs=True)
    return backup.name


def _replace(
    workspace: Workspace, located: Located, content: bytes, *, create_dirs: bool, mode: int | None = None
) -> None:
    """Write beside the target and rename over it: a reader sees the old file or the new one, never a half."""
    with workspace.folder_of(located, create=create_dirs) as (name, folder):
        draft = str(Path(name).with_name(f".{token_hex(8)}.tmp"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            before = facts_at(name, folder)
            if before is not None:
                check_regular(located, before)
            with os.fdopen(os.open(draft, flags, 0o666, dir_fd=folder), "wb") as file:
                file.write(content)
                kept = stat.S_IMODE(before.st_mode) if mode is None and before is not None else mode
                if kept is not None and hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), kept)
            check_unchanged(located, facts_at(name, folder))
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            _remove_quietly(draft, folder)
            raise


def _remove_quietly(name: str, folder: int | None) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def list_files(workspace: Workspace, arguments: dict[str, Any], located: Located) -> dict[str, Any]:
    """List a folder, or with `recursive` all below it without version control and installed packages."""
    path = str(arguments["path"])
    if located.file is None:
        raise Refusal(f"There is no folder '{path}'.")
    if not located.target.is_dir():
        raise Refusal(f"'{path}' is a file, not a folder.")
    pattern = arguments.get("pattern")
    extent = Extent(bool(arguments.get("recursive", False)), bool(arguments.get("include_hidden", False)))
    shown = [
        entry
        for entry in walk(workspace, located, extent)
        if pattern is None or fnmatch.fnmatch(entry.name, pattern) or fnmatch.fnmatch(entry.below, pattern)
    ]
    items = [_describe(located, entry) for entry in shown[:MAX_LISTED]]
    result = {"success": True, "path": located.name, "items": items, "total_count": len(shown)}
    return result | ({"truncated": True} if len(shown) > MAX_LISTED else {})


def glob(workspace: Workspace, arguments: dict[str, Any], located: Located) -> dict[str, Any]:
    """Name the files below a folder whose path from there matches a pattern; case does not count."""
    pattern = str(arguments["pattern"]).removeprefix("./")
    problem = check_glob(pattern)
    if problem is not None:
        raise Refusal(f"The pattern '{pattern}' cannot be used: {problem}.")
    if located.file is None or not located.target.is_dir():
        raise Refusal(f"There is no folder '{arguments.get('path', '.')}'.")
    found = [
        "/".join((*located.parts, *entry.parts))
        for entry in walk(workspace, located)
        if not entry.is_folder and glob_matches(pattern, entry.below)
    ]
    result = {"success": True, "files": found[:MAX_LISTED], "total_count": len(found)}
    return result | ({"truncated": True} if len(found) > MAX_LISTED else {})


def _describe(top: Located, entry: Entry) -> dict[str, Any]:
    item: dict[str, Any] = {"name": entry.name, "path": "/".join((*top.parts, *entry.parts))}
    if entry.is_link:
        return item | {"type": "symlink"}
    if entry.is_folder:
        return item | {"type": "directory"}
    modified = datetime.fromtimestamp(entry.facts.st_mtime, UTC).isoformat(timespec="seconds")
    return item | {"type": "file", "size": entry.facts.st_size, "modified": modified}


def create_directory(workspace: Workspace, arguments: dict[str, Any], located: Located) -> dict[str, Any]:
    """Create a folder, with its parents unless `recursive` is false."""
    path = str(arguments["path"])
    if not arguments.get("recursive", True) and located.folder is None:
        raise Refusal(f"The folder of '{path}' does not exist; set recursive to create it too.")
    created = make_folder(workspace, located)
    if created:
        workspace.note_change(located.name)
    return {"success": True, "path": located.name, "created": created, "already_exists": not created}
