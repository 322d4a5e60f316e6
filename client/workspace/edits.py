"""The tool edit_file: a piece of a file replaced, its encoding and its line ends kept."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Any

from client.workspace.content.reading import bytes_of
from client.workspace.files import replace_file
from client.workspace.folder import Located, Refusal, Workspace
from client.workspace.precondition import Precondition, sha256_of
from tools.edit_file import edited

_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True)
class Edit:
    """What an edit makes of a file: its text before and after, and the bytes of both."""

    before: str
    after: str
    old_bytes: bytes
    new_bytes: bytes


def edit_file(
    workspace: Workspace, arguments: dict[str, Any], located: Located, precondition: Precondition | None = None
) -> dict[str, Any]:
    """Replace `count` occurrences of `old` in one step; the old version is kept below `.agent-runtime/backups`."""
    edit = planned_edit(workspace, arguments, located, precondition)
    backup = replace_file(workspace, located, edit.new_bytes, before=edit.old_bytes)
    result = {"success": True, "replaced": int(arguments.get("count", 1)), "sha256": sha256_of(edit.new_bytes)}
    return result | ({"backup_path": backup} if backup else {})


def planned_edit(
    workspace: Workspace, arguments: dict[str, Any], located: Located, precondition: Precondition | None = None
) -> Edit:
    """Compute an edit without doing it; raises Refusal where the file or its text is not as the call says."""
    path, old, new = (str(arguments[name]) for name in ("path", "old", "new"))
    content = bytes_of(workspace, located)
    if precondition is not None:
        precondition.check(content)
    if content is None:
        raise Refusal(f"There is no file '{path}': create it with write_file.")
    encoding, errors = _encoding_of(content, path, is_ascii=(old + new).isascii())
    text = content.decode(encoding, errors)
    count, was_read = int(arguments.get("count", 1)), precondition is not None
    try:
        after = edited(text, old, new, count=count, path=path, may_quote=was_read)
        return Edit(text, after, content, after.encode(encoding, errors))
    except UnicodeEncodeError as error:
        raise Refusal("The new text holds characters that cannot be written to a file.") from error
    except ValueError as error:
        raise Refusal(str(error)) from error


def _encoding_of(content: bytes, path: str, *, is_ascii: bool) -> tuple[str, str]:
    """Tell encoding and error handler: bytes that are no UTF-8 pass through an edit that is plain ASCII."""
    if content[:2] in _WIDE:
        return _WIDE[content[:2]], "strict"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        if not is_ascii or b"\0" in content:
            raise Refusal(f"File '{path}' is not utf-8 text.") from error
        return "utf-8", "surrogateescape"
    return "utf-8", "strict"
