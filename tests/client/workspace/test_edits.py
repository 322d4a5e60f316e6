"""edit_file and glob in a real folder: what is kept, what is refused, and what a person is shown."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from client.terminal.call_view import call_panel, is_cut
from client.terminal.diff import diff_edit
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.precondition import CHANGED, NOT_READ, Precondition
from client.workspace.request import ToolRequest
from tests.client.workspace.tool_calls import execute
from wire.protocol import ToolCall


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("one\ntwo\nthree\n")
    return Workspace(tmp_path)


def edit(workspace: Workspace, path: str = "lib/a.py", **arguments: Any) -> dict[str, Any]:
    outcome = execute(workspace, "edit_file", {"path": path, **arguments})
    assert outcome.error is None, outcome.error
    assert outcome.changed == (path,)
    result: dict[str, Any] = outcome.result
    return result


def test_both_tools_are_declared(workspace: Workspace) -> None:
    assert WorkspaceExecutor(workspace).environment()["tools"] == ["edit_file", "glob"]


def test_edit_replaces_and_tells_the_digest(workspace: Workspace) -> None:
    file = workspace.root / "lib" / "a.py"
    file.chmod(0o751)
    result = edit(workspace, old="two", new="2")
    assert file.read_text() == "one\n2\nthree\n"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (result["success"], result["replaced"], result["sha256"]) == (True, 1, digest)
    assert (workspace.root / result["backup_path"]).read_text() == "one\ntwo\nthree\n"
    assert os.stat(file).st_mode & 0o777 == 0o751


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        ("é\r\nb\r\n".encode(), "é\nb", "è\nc", "è\r\nc\r\n".encode()),
        ("\ufeffa\n".encode(), "a", "ж", "\ufeffж\n".encode()),
        ("\ufeffa\nb".encode("utf-16-le"), "a\nb", "ж", "\ufeffж".encode("utf-16-le")),
        ("\ufeffa".encode("utf-16-be"), "a", "ж", "\ufeffж".encode("utf-16-be")),
        ("naïve = 1\n".encode("latin-1"), "= 1", "= 2", "naïve = 2\n".encode("latin-1")),
        (b"a\x00b", "b", "c", b"a\x00c"),
    ],
)
def test_encoding_and_line_ends_are_kept(workspace: Workspace, before: bytes, old: str, new: str, after: bytes) -> None:
    (workspace.root / "b.txt").write_bytes(before)
    edit(workspace, "b.txt", old=old, new=new)
    assert (workspace.root / "b.txt").read_bytes() == after


@pytest.mark.parametrize(
    ("path", "old", "new", "sentence"),
    [
        ("lib/a.py", "four", "4", "The text does not occur in lib/a.py: read the file again."),
        ("lib/a.py", "o", "0", "Found 2 occurrences of the text, expected 1: give more of its surroundings."),
        ("lib/b.py", "a", "b", "There is no file 'lib/b.py': create it with write_file."),
        ("lib", "a", "b", "Path 'lib' is not a regular file."),
        ("latin.txt", "n", "ж", "File 'latin.txt' is not utf-8 text."),
        ("lib/a.py", "two", "\ud800", "The new text holds characters that cannot be written to a file."),
        ("../a.py", "a", "b", "Path '../a.py' leads out of the workspace."),
        (".agent-runtime/x", "a", "b", "belongs to the terminal client"),
    ],
)
def test_impossible_edit_is_refused_before_anybody_is_asked(
    workspace: Workspace, path: str, old: str, new: str, sentence: str
) -> None:
    (workspace.root / "latin.txt").write_bytes("naïve".encode("latin-1"))
    examined = WorkspaceExecutor(workspace).examine(ToolRequest("edit_file", {"path": path, "old": old, "new": new}))
    assert sentence in (examined.refusal or "")
    assert (workspace.root / "lib" / "a.py").read_text() == "one\ntwo\nthree\n"


def test_edit_of_a_file_that_changed_is_refused(workspace: Workspace) -> None:
    file = workspace.root / "lib" / "a.py"
    executor = WorkspaceExecutor(workspace)
    known = Precondition(hashlib.sha256(file.read_bytes()).hexdigest())
    arguments = {"path": "lib/a.py", "old": "two", "new": "2"}
    examined = executor.examine(ToolRequest("edit_file", arguments, precondition=known))
    assert examined.refusal is None
    file.write_text("one\ntwo\n")
    assert executor.execute(examined).error == CHANGED
    assert executor.examine(ToolRequest("edit_file", arguments, precondition=Precondition(None))).refusal == NOT_READ
    assert file.read_text() == "one\ntwo\n"


def test_only_a_file_that_was_read_is_quoted_where_a_text_does_not_occur(workspace: Workspace) -> None:
    (workspace.root / "keys.txt").write_text("SIGNING_KEY=abc\n")
    executor = WorkspaceExecutor(workspace)
    missed = {"path": "keys.txt", "old": "KEY = ?", "new": "x"}
    unread = executor.examine(ToolRequest("edit_file", missed)).refusal or ""
    assert unread == "The text does not occur in keys.txt: read the file again."
    read = Precondition(hashlib.sha256(b"SIGNING_KEY=abc\n").hexdigest())
    refusal = executor.examine(ToolRequest("edit_file", missed, precondition=read)).refusal or ""
    assert refusal.splitlines()[-1] == "SIGNING_KEY=abc"


def test_edit_through_a_link_is_asked_like_a_write_of_its_target(workspace: Workspace) -> None:
    (workspace.root / ".env").write_text("KEY=1\n")
    (workspace.root / "plain.txt").symlink_to(".env")
    requests = [
        ToolRequest("edit_file", {"path": "plain.txt", "old": "1", "new": "2"}),
        ToolRequest("write_file", {"path": "plain.txt", "content": "KEY=2\n"}),
    ]
    edited, written = [WorkspaceExecutor(workspace).examine(request) for request in requests]
    assert edited.concerns == written.concerns
    assert edited.concerns


def test_edit_is_shown_as_a_diff(workspace: Workspace) -> None:
    arguments = {"path": "lib/a.py", "old": "two", "new": "2"}
    diff = diff_edit(workspace, arguments)
    assert diff.summary == "1 line added, 1 removed"
    assert diff.lines == ("@@ -1,3 +1,3 @@", " one", "-two", "+2", " three")
    call = ToolCall(call_id="c", tool_name="edit_file", arguments=arguments, requires_approval=True)
    assert not is_cut(call, arguments, workspace)
    assert call_panel(call, arguments, workspace).title is not None


def test_edit_that_cannot_be_applied_shows_both_texts(workspace: Workspace) -> None:
    diff = diff_edit(workspace, {"path": "lib/a.py", "old": "one\ny", "new": "z"})
    assert diff.summary == "cannot be applied: The text does not occur in lib/a.py: read the file again."
    assert diff.lines == ("-one", "-y", "+z")


def found(workspace: Workspace, pattern: str, **arguments: Any) -> list[str]:
    outcome = execute(workspace, "glob", {"pattern": pattern, **arguments})
    assert outcome.error is None, outcome.error
    assert outcome.result["total_count"] == len(outcome.result["files"])
    files: list[str] = outcome.result["files"]
    return files


def test_glob_names_files_below_its_folder(workspace: Workspace) -> None:
    (workspace.root / "lib" / "deep").mkdir()
    for name in ("b.py", "lib/c.txt", "lib/deep/d.py"):
        (workspace.root / name).write_text("")
    (workspace.root / "node_modules").mkdir()
    (workspace.root / "node_modules" / "e.py").write_text("")
    (workspace.root / "out.py").symlink_to("/etc/passwd")
    assert found(workspace, "*.py") == ["b.py", "out.py"]
    assert found(workspace, "./**/*.py") == ["b.py", "lib/a.py", "lib/deep/d.py", "out.py"]
    assert found(workspace, "**/*.PY", path="lib") == ["lib/a.py", "lib/deep/d.py"]
    assert found(workspace, "lib/?.*") == ["lib/a.py", "lib/c.txt"]
    assert found(workspace, "nothing") == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pattern": "*.{py,txt}"}, "The pattern '*.{py,txt}' cannot be used: a glob is relative"),
        ({"pattern": "../*"}, "cannot be used"),
        ({"pattern": "*", "path": "lib/a.py"}, "There is no folder 'lib/a.py'."),
        ({"pattern": "*", "path": "missing"}, "There is no folder 'missing'."),
    ],
)
def test_glob_says_what_it_cannot_do(workspace: Workspace, arguments: dict[str, Any], sentence: str) -> None:
    assert sentence in (execute(workspace, "glob", arguments).error or "")


@pytest.mark.parametrize("old", ["KEY=a", "KEY=b"])
def test_examining_an_edit_of_a_secret_tells_nothing_about_it(workspace: Workspace, old: str) -> None:
    (workspace.root / ".env").write_text("KEY=a\n")
    arguments = {"path": ".env", "old": old, "new": "KEY=c"}
    examination = WorkspaceExecutor(workspace).examine(ToolRequest("edit_file", arguments, is_asked=True))
    assert (examination.refusal, examination.concerns) == (None, ())
    assert (workspace.root / ".env").read_text() == "KEY=a\n"
