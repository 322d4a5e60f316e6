"""The four file tools: read_file, write_file, list_files, create_directory."""

from __future__ import annotations

import fnmatch
import io
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Any

from client.workspace.folder import NOISE, OWN_FOLDER, Refusal, Workspace

MAX_READ_CHARS = 2_000_000
MAX_LISTED = 5_000


def read_file(workspace: Workspace, arguments: dict[str, Any]) -> dict[str, Any]:
    """Read a text file, or its lines start_line to end_line (1-based, inclusive)."""
    path, encoding = str(arguments["path"]), str(arguments.get("encoding", "utf-8"))
    start, end = arguments.get("start_line", 1), arguments.get("end_line")
    if end is not None and end < start:
        raise Refusal(f"end_line {end} lies before start_line {start}.")
    with os.fdopen(workspace.open_file(workspace.locate(path)), "rb") as file:
        lines: list[str] = []
        size = 0
        try:
            # newline="" keeps CR and LF as they are: a later write must not change the line ends.
            with io.TextIOWrapper(file, encoding=encoding, newline="") as text:
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
    return {"success": True, "content": "".join(lines), "lines_read": len(lines)}


def _bounded_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Yield lines; one that never ends comes in pieces, so that memory stays bounded."""
    while line := text.readline(MAX_READ_CHARS + 1):
        yield line


def write_file(workspace: Workspace, arguments: dict[str, Any]) -> dict[str, Any]:
    """Write a text file in one step; what it replaces is kept below `.agent-runtime/backups`."""
    path, encoding = str(arguments["path"]), str(arguments.get("encoding", "utf-8"))
    try:
        content = str(arguments["content"]).encode(encoding)
    except LookupError as error:
        raise Refusal(f"There is no text encoding '{encoding}'.") from error
    except UnicodeError as error:
        raise Refusal(f"The content cannot be written as {encoding}.") from error
    target = workspace.locate_for_write(path)
    create_dirs = bool(arguments.get("create_dirs", False))
    if not create_dirs and not target.parent.is_dir():
        raise Refusal(f"The folder of '{path}' does not exist; create it first or set create_dirs.")
    before = _bytes_before(workspace, target)
    result: dict[str, Any] = {"success": True, "bytes_written": len(content)}
    if arguments.get("backup", True) and before is not None and before != content:
        result["backup_path"] = workspace.name_of(_keep_backup(workspace, target, before))
    _replace(workspace, target, content, create_dirs=create_dirs)
    workspace.note_change(target)
    return result


def _bytes_before(workspace: Workspace, target: Path) -> bytes | None:
    try:
        with os.fdopen(workspace.open_file(target), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _keep_backup(workspace: Workspace, target: Path, content: bytes) -> Path:
    """Store what a write replaces; the folder ignores itself in git."""
    own = workspace.root / OWN_FOLDER
    if not (own / ".gitignore").exists():
        _replace(workspace, own / ".gitignore", b"*\n", create_dirs=True)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    backup = own / "backups" / f"{workspace.name_of(target)}.{moment}.bak"
    _replace(workspace, backup, content, create_dirs=True)
    return backup


def _replace(workspace: Workspace, target: Path, content: bytes, *, create_dirs: bool) -> None:
    """Write beside the target and rename over it: a reader sees the old file or the new one, never a half."""
    with workspace.folder_of(target, create=create_dirs) as (name, folder):
        try:
            before = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(before.st_mode):
                raise Refusal(f"Path '{workspace.name_of(target)}' is not a regular file.")
            mode = stat.S_IMODE(before.st_mode)
        except FileNotFoundError:
            mode = None
        draft = str(Path(name).with_name(f".{token_hex(8)}.tmp"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(draft, flags, 0o666, dir_fd=folder), "wb") as file:
                file.write(content)
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), mode)
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            _remove_quietly(draft, folder)
            raise


def _remove_quietly(name: str, folder: int | None) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def list_files(workspace: Workspace, arguments: dict[str, Any]) -> dict[str, Any]:
    """List a folder, or with `recursive` all below it without version control and installed packages."""
    path = str(arguments["path"])
    top = workspace.locate(path)
    if not top.exists():
        raise Refusal(f"There is no folder '{path}'.")
    if not top.is_dir():
        raise Refusal(f"'{path}' is a file, not a folder.")
    pattern = arguments.get("pattern")
    shown = [
        entry
        for entry in _walk(
            top, recursive=arguments.get("recursive", False), hidden=arguments.get("include_hidden", False)
        )
        if pattern is None or fnmatch.fnmatch(entry.name, pattern) or fnmatch.fnmatch(_below(entry, top), pattern)
    ]
    items = [_describe(workspace, entry) for entry in shown[:MAX_LISTED]]
    result = {"success": True, "path": workspace.name_of(top), "items": items, "total_count": len(shown)}
    return result | ({"truncated": True} if len(shown) > MAX_LISTED else {})


def _below(entry: os.DirEntry[str], top: Path) -> str:
    return Path(entry.path).relative_to(top).as_posix()


def _walk(top: Path, *, recursive: bool, hidden: bool) -> Iterator[os.DirEntry[str]]:
    """Yield entries in the order of their names, each folder before what it holds; links are not followed."""
    with os.scandir(top) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name == OWN_FOLDER or (entry.name.startswith(".") and not hidden):
            continue
        yield entry
        if recursive and entry.is_dir(follow_symlinks=False) and entry.name not in NOISE:
            try:
                yield from _walk(Path(entry.path), recursive=True, hidden=hidden)
            except PermissionError:
                continue


def _describe(workspace: Workspace, entry: os.DirEntry[str]) -> dict[str, Any]:
    item: dict[str, Any] = {"name": entry.name, "path": Path(entry.path).relative_to(workspace.root).as_posix()}
    if entry.is_symlink():
        return item | {"type": "symlink"}
    if entry.is_dir():
        return item | {"type": "directory"}
    facts = entry.stat(follow_symlinks=False)
    modified = datetime.fromtimestamp(facts.st_mtime, UTC).isoformat(timespec="seconds")
    return item | {"type": "file", "size": facts.st_size, "modified": modified}


def create_directory(workspace: Workspace, arguments: dict[str, Any]) -> dict[str, Any]:
    """Create a folder, with its parents unless `recursive` is false."""
    path = str(arguments["path"])
    target = workspace.locate_for_write(path)
    if not arguments.get("recursive", True) and not target.parent.is_dir():
        raise Refusal(f"The folder of '{path}' does not exist; set recursive to create it too.")
    with workspace.folder_of(target, create=True) as (name, folder):
        try:
            os.mkdir(name, dir_fd=folder)
            created = True
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise Refusal(f"'{path}' exists and is not a folder.") from None
            created = False
    if created:
        workspace.note_change(target)
    return {"success": True, "path": workspace.name_of(target), "created": created, "already_exists": not created}
