"""read_file, write_file, list_files, create_directory: results in the shapes of the protocol, failures as sentences."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest

from client.workspace.folder import Workspace
from policy.paths.classes import family_of
from tests.client.workspace.tool_calls import execute


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def run(workspace: Workspace, tool: str, **arguments: Any) -> dict[str, Any]:
    outcome = execute(workspace, tool, arguments)
    assert outcome.error is None, outcome.error
    assert isinstance(outcome.result, dict)
    return outcome.result


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fail(workspace: Workspace, tool: str, **arguments: Any) -> str:
    outcome = execute(workspace, tool, arguments)
    assert outcome.error is not None, outcome.result
    return outcome.error


def test_read_gives_the_text_as_it_is(workspace: Workspace) -> None:
    content = "один\r\ntwo\u2028still two\nthree"
    (workspace.root / "a.txt").write_bytes(content.encode())
    expected = {"success": True, "content": content, "lines_read": 3, "sha256": digest_of(content.encode())}
    assert run(workspace, "read_file", path="a.txt") == expected


def test_digest_is_of_the_bytes_and_only_of_a_whole_read(workspace: Workspace) -> None:
    content = ("строка\r\n" * 5_000).encode("cp1251")
    (workspace.root / "a.txt").write_bytes(content)
    whole = run(workspace, "read_file", path="a.txt", encoding="cp1251")
    assert whole["sha256"] == digest_of(content)
    assert "sha256" not in run(workspace, "read_file", path="a.txt", encoding="cp1251", end_line=9_000)
    assert "sha256" not in run(workspace, "read_file", path="a.txt", encoding="cp1251", start_line=2)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"start_line": 2}, "2\n3\n"),
        ({"end_line": 2}, "1\n2\n"),
        ({"start_line": 2, "end_line": 2}, "2\n"),
        ({"start_line": 9}, ""),
    ],
)
def test_read_selects_lines(workspace: Workspace, lines: dict[str, int], expected: str) -> None:
    (workspace.root / "a.txt").write_text("1\n2\n3\n")
    assert run(workspace, "read_file", path="a.txt", **lines)["content"] == expected


def test_read_failures_are_sentences(workspace: Workspace) -> None:
    (workspace.root / "binary").write_bytes(b"\xff\xfe\x00")
    (workspace.root / "large").write_text("x" * 2_000_001)
    missing = "There is no file 'none.txt': list_files finds files, write_file creates one."
    assert fail(workspace, "read_file", path="none.txt") == missing
    assert fail(workspace, "read_file", path="binary") == "File 'binary' is not utf-8 text."
    assert "no text encoding 'klingon'" in fail(workspace, "read_file", path="binary", encoding="klingon")
    assert "too large" in fail(workspace, "read_file", path="large")
    assert "before start_line" in fail(workspace, "read_file", path="large", start_line=3, end_line=1)
    assert "not a regular file" in fail(workspace, "read_file", path=".")


def test_arguments_that_break_the_schema_are_refused(workspace: Workspace) -> None:
    assert "do not fit read_file" in fail(workspace, "read_file", path="a", start_line=0)
    assert "no tool 'echo'" in fail(workspace, "echo", text="x")
    assert "no tool 'rm'" in fail(workspace, "rm")


def test_write_creates_and_replaces_with_a_backup_out_of_sight(workspace: Workspace) -> None:
    assert run(workspace, "write_file", path="a.txt", content="één") == {
        "success": True,
        "bytes_written": 5,
        "sha256": digest_of("één".encode()),
    }
    os.chmod(workspace.root / "a.txt", 0o700)
    result = run(workspace, "write_file", path="a.txt", content="two")
    assert (workspace.root / result["backup_path"]).read_text() == "één"
    assert re.fullmatch(r"\.agent-runtime/backups/[0-9TZ]+/a\.txt", result["backup_path"])
    assert (workspace.root / ".agent-runtime/.gitignore").read_text() == "/backups/\n/.gitignore\n"
    assert sorted(path.name for path in workspace.root.iterdir()) == [".agent-runtime", "a.txt"]
    assert (workspace.root / "a.txt").stat().st_mode & 0o777 == 0o700
    assert workspace.changed == ["a.txt"]


def test_write_makes_no_backup_when_told_or_when_nothing_changes(workspace: Workspace) -> None:
    (workspace.root / "a.txt").write_text("one")
    assert "backup_path" not in run(workspace, "write_file", path="a.txt", content="one")
    assert "backup_path" not in run(workspace, "write_file", path="a.txt", content="two", backup=False)


def test_write_needs_its_folder_unless_it_may_create_it(workspace: Workspace) -> None:
    assert "does not exist" in fail(workspace, "write_file", path="x/y/a.txt", content="")
    run(workspace, "write_file", path="x/y/a.txt", content="", create_dirs=True)
    assert (workspace.root / "x/y/a.txt").read_text() == ""


def test_write_failures_are_sentences_and_leave_nothing(workspace: Workspace) -> None:
    (workspace.root / "folder").mkdir()
    assert "not a regular file" in fail(workspace, "write_file", path="folder", content="")
    assert "cannot be written as ascii" in fail(workspace, "write_file", path="a", content="é", encoding="ascii")
    assert "the workspace itself" in fail(workspace, "write_file", path=".", content="")
    assert [path.name for path in workspace.root.iterdir()] == ["folder"]


def test_list_shows_names_sizes_and_kinds(workspace: Workspace) -> None:
    (workspace.root / "b").mkdir()
    (workspace.root / "b/deep.py").write_text("xy")
    (workspace.root / "a.txt").write_text("abc")
    (workspace.root / ".hidden").write_text("")
    (workspace.root / "link").symlink_to("a.txt")
    flat = run(workspace, "list_files", path=".")
    assert [(item["name"], item["type"]) for item in flat["items"]] == [
        ("a.txt", "file"),
        ("b", "directory"),
        ("link", "symlink"),
    ]
    assert flat["items"][0]["size"] == 3
    assert flat["items"][0]["modified"].endswith("+00:00")
    assert (flat["path"], flat["total_count"]) == (".", 3)
    deep = run(workspace, "list_files", path=".", recursive=True, include_hidden=True)
    assert [item["path"] for item in deep["items"]] == [".hidden", "a.txt", "b", "b/deep.py", "link"]
    only = run(workspace, "list_files", path=".", recursive=True, pattern="*.py")
    assert [item["path"] for item in only["items"]] == ["b/deep.py"]


def test_list_does_not_descend_into_links_and_version_control(workspace: Workspace) -> None:
    (workspace.root / ".git").mkdir()
    (workspace.root / ".git/config").write_text("")
    (workspace.root / "self").symlink_to(".")
    result = run(workspace, "list_files", path=".", recursive=True, include_hidden=True)
    assert [item["path"] for item in result["items"]] == [".git", "self"]


def test_list_failures_are_sentences(workspace: Workspace) -> None:
    (workspace.root / "a.txt").write_text("")
    assert fail(workspace, "list_files", path="none") == "There is no folder 'none'."
    assert fail(workspace, "list_files", path="a.txt") == "'a.txt' is a file, not a folder."


def test_create_directory_reports_what_was_there(workspace: Workspace) -> None:
    created = {"success": True, "path": "x/y", "created": True, "already_exists": False}
    assert run(workspace, "create_directory", path="x/y") == created
    assert run(workspace, "create_directory", path="x/y")["already_exists"] is True
    assert "does not exist" in fail(workspace, "create_directory", path="p/q", recursive=False)
    (workspace.root / "file").write_text("")
    assert "not a folder" in fail(workspace, "create_directory", path="file")


def test_backup_of_a_secret_is_a_secret_by_its_name(workspace: Workspace) -> None:
    (workspace.root / "server.pem").write_text("old")
    kept = run(workspace, "write_file", path="server.pem", content="new")["backup_path"]
    assert family_of(kept.split("/"), "read").name == "secrets"


def test_backups_are_not_led_elsewhere_by_a_link(workspace: Workspace) -> None:
    (workspace.root / "a.txt").write_text("old")
    (workspace.root / "elsewhere").mkdir()
    (workspace.root / ".agent-runtime").symlink_to("elsewhere")
    assert fail(workspace, "write_file", path="a.txt", content="new")
    assert (workspace.root / "a.txt").read_text() == "old"
    assert list((workspace.root / "elsewhere").iterdir()) == []
