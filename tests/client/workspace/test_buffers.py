"""Unsaved text of an editor comes before the disk, and only where it is another text; every path is guarded as ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from client.workspace.content.buffers import MAX_BYTES, unsaved_bytes
from client.workspace.executor import ToolOutcome, WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest


@pytest.mark.parametrize(
    ("saved", "text", "unsaved"),
    [
        (b"a\n", None, None),
        (b"a\n", "a\n", None),
        (b"a\r\nb\r\n", "a\nb\n", None),
        (b"\xef\xbb\xbfa\n", "a\n", None),
        (b"\xe4\n", "\ufffd\n", None),
        (b"a\n", "b\n", b"b\n"),
        (b"a\n", "", b""),
        (b"a\r\nb\r\n", "a\nc\n", b"a\r\nc\r\n"),
        (b"a\r\nb\n", "a\nc\n", b"a\nc\n"),
        (None, "", None),
        (None, "new", b"new"),
    ],
)
def test_only_another_text_is_unsaved(saved: bytes | None, text: str | None, unsaved: bytes | None) -> None:
    assert unsaved_bytes(saved, text) == unsaved


class Held:
    """An editor with some open files; it writes only where it is told to."""

    def __init__(self, root: Path, **texts: str) -> None:
        self.texts = {root.resolve() / name: text for name, text in texts.items()}
        self.asked: list[Path] = []
        self.writes = False
        self.fails = False

    def read(self, file: Path) -> str | None:
        self.asked.append(file)
        return self.texts.get(file)

    def write(self, file: Path, text: str) -> bool:
        if self.fails:
            raise OSError("the editor did not write it in time")
        if self.writes:
            file.write_text(text, encoding="utf-8")
        return self.writes


def run(root: Path, held: Held, tool: str, **arguments: Any) -> ToolOutcome:
    executor = WorkspaceExecutor(Workspace(root, held))
    return executor.execute(executor.examine(ToolRequest(tool, arguments, is_asked=True)))


def test_lines_of_unsaved_text_are_read_and_an_edit_is_made_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\n")
    held = Held(tmp_path, a="one\ntwo\nthree\n")
    read = run(tmp_path, held, "read_file", path="a", start_line=2, end_line=2)
    assert read.result["content"] == "two\n"
    assert run(tmp_path, held, "edit_file", path="a", old="two", new="2").error is None
    assert (tmp_path / "a").read_text() == "one\n2\nthree\n"


def test_editor_that_writes_keeps_the_guard_and_the_backup(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\n")
    held = Held(tmp_path)
    held.writes = True
    outcome = run(tmp_path, held, "write_file", path="a", content="two\n")
    assert (outcome.error, outcome.changed) == (None, ("a",))
    assert (tmp_path / outcome.result["backup_path"]).read_text() == "one\n"


def test_write_that_the_editor_does_not_make_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\n")
    held = Held(tmp_path)
    held.fails = True
    outcome = run(tmp_path, held, "write_file", path="a", content="two\n")
    assert outcome.error == "'a': the editor did not write it in time."
    assert (tmp_path / "a").read_text() == "one\n"


def test_text_that_is_no_utf_8_and_large_files_do_not_go_through_the_editor(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    held = Held(tmp_path, large="small")
    held.writes = True
    assert run(tmp_path, held, "read_file", path="large", end_line=1).error is not None
    assert held.asked == []
    run(tmp_path, held, "write_file", path="latin", content="ä", encoding="latin-1")
    assert (tmp_path / "latin").read_bytes() == b"\xe4"


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "link"])
def test_editor_is_never_asked_for_what_lies_outside(tmp_path: Path, path: str) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (tmp_path / "outside").write_text("secret\n")
    (root / "link").symlink_to(tmp_path / "outside")
    held = Held(root)
    held.writes = True
    for tool, arguments in (("read_file", {}), ("write_file", {"content": "x"})):
        assert run(root, held, tool, path=path, **arguments).error is not None
    assert held.asked == []
    assert (tmp_path / "outside").read_text() == "secret\n"
