"""search_in_code in plain Python; a regular expression runs in a child process that can be stopped."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from client.workspace.folder import Identity, Located, Refusal, Workspace
from client.workspace.judgement import holds_secret
from client.workspace.walk import walk
from policy.shell.operands import picks_secrets

MAX_FILE_BYTES = 2_000_000
MAX_LINE_CHARS = 500
MAX_PATTERN_CHARS = 1_000
REGEX_TIMEOUT_S = 10.0


def search_in_code(
    workspace: Workspace, arguments: dict[str, Any], located: Located, *, regex_timeout_s: float = REGEX_TIMEOUT_S
) -> dict[str, Any]:
    """Find the lines that hold a text or match a regular expression."""
    query = str(arguments["query"])
    if not query:
        raise Refusal("The query is empty.")
    if not arguments.get("regex", False):
        return find(workspace, arguments, located)
    if len(query) > MAX_PATTERN_CHARS:
        raise Refusal(f"The regular expression is longer than {MAX_PATTERN_CHARS} characters.")
    _compile(arguments)
    return _find_in_child(workspace, arguments, located, regex_timeout_s)


def find(workspace: Workspace, arguments: dict[str, Any], located: Located) -> dict[str, Any]:
    """Search in this process; `total_matches` counts on when the list is full."""
    pattern, limit = _compile(arguments), int(arguments.get("max_results", 100))
    matches: list[dict[str, Any]] = []
    total = 0
    for path, lines in _texts(workspace, arguments, located):
        for number, line in enumerate(lines, start=1):
            found = pattern.search(line)
            if not found:
                continue
            total += 1
            if len(matches) < limit:
                text = line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + "…"
                matches.append({"path": path, "line": number, "column": found.start() + 1, "text": text})
    return {"query": arguments["query"], "matches": matches, "total_matches": total, "truncated": total > len(matches)}


def _compile(arguments: dict[str, Any]) -> re.Pattern[str]:
    flags = re.NOFLAG if arguments.get("case_sensitive", False) else re.IGNORECASE
    query = str(arguments["query"])
    try:
        return re.compile(query if arguments.get("regex", False) else re.escape(query), flags)
    except (re.error, RecursionError, OverflowError) as error:
        raise Refusal(f"The regular expression is not valid: {error}.") from error


def _texts(workspace: Workspace, arguments: dict[str, Any], top: Located) -> Iterator[tuple[str, list[str]]]:
    if top.file is None:
        raise Refusal(f"There is no file or folder '{arguments.get('path')}'.")
    wanted = arguments.get("file_pattern")
    is_folder = top.target.is_dir()
    # The policy asks before a search that names secrets; one that merely passes by must not read them.
    may_read_secrets = not is_folder or (wanted is not None and picks_secrets(wanted))
    for located in _files(workspace, top) if is_folder else [top]:
        if not may_read_secrets and holds_secret(located):
            continue
        if wanted and not (fnmatch.fnmatch(located.parts[-1], wanted) or fnmatch.fnmatch(located.name, wanted)):
            continue
        lines = _lines(workspace, located)
        if lines is not None:
            yield located.name, lines


def _files(workspace: Workspace, top: Located) -> Iterator[Located]:
    for entry in walk(workspace, top):
        if not entry.is_link and not entry.is_folder:
            name = "/".join((*top.parts, *entry.parts))
            yield Located(name, workspace.root / name, name, None, Identity.of(entry.facts))


def _lines(workspace: Workspace, located: Located) -> list[str] | None:
    """Read a file as lines, or None when it is binary, too large or not readable."""
    try:
        with os.fdopen(workspace.open_file(located), "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, Refusal):
        return None
    if len(content) > MAX_FILE_BYTES or b"\0" in content[:8192]:
        return None
    return content.decode("utf-8", errors="replace").replace("\r\n", "\n").split("\n")


def _find_in_child(
    workspace: Workspace, arguments: dict[str, Any], located: Located, timeout_s: float
) -> dict[str, Any]:
    """Search in a child: a pattern that backtracks without end cannot be interrupted in this process."""
    request = json.dumps({"root": str(workspace.root), "arguments": arguments, "located": _as_json(located)})
    # -P keeps the current folder, which may hold anybody's json.py, off the import path.
    command = [sys.executable, "-P", "-m", "client.workspace.search"]
    try:
        done = subprocess.run(  # noqa: S603 our own module
            command, input=request, capture_output=True, encoding="utf-8", timeout=timeout_s, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise Refusal(f"The search took longer than {timeout_s:g} seconds; use a simpler expression.") from error
    reply: dict[str, Any] = json.loads(done.stdout)
    if "refusal" in reply:
        raise Refusal(str(reply["refusal"]))
    return reply


def _as_json(located: Located) -> list[Any]:
    identities = [[found.device, found.inode] if found else None for found in (located.folder, located.file)]
    return [located.written, located.name, *identities]


def _serve_parent() -> None:
    request = json.loads(sys.stdin.buffer.read())
    workspace = Workspace(Path(request["root"]))
    written, name, *identities = request["located"]
    folder, file = (Identity(*found) if found else None for found in identities)
    try:
        reply = find(workspace, request["arguments"], Located(written, workspace.root / name, name, folder, file))
    except Refusal as refusal:
        reply = {"refusal": str(refusal)}
    sys.stdout.write(json.dumps(reply))


if __name__ == "__main__":
    _serve_parent()
