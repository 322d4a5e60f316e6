"""The diff before a write."""

from pathlib import Path

import pytest

from client.terminal.diff import MAX_LINES, diff_edit, diff_write
from client.workspace.folder import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    return Workspace(tmp_path)


def test_change_is_a_unified_diff_in_colours(workspace: Workspace) -> None:
    diff = diff_write(workspace, "a.txt", "one\n2\nthree\n")
    assert diff.summary == "1 line added, 1 removed"
    assert diff.lines == ("@@ -1,3 +1,3 @@", " one", "-two", "+2", " three")
    text = diff.render()
    assert text.plain == "\n".join(diff.lines)
    assert [str(span.style) for span in text.spans] == ["cyan", "red", "green"]


def test_new_file_is_all_added(workspace: Workspace) -> None:
    diff = diff_write(workspace, "new.txt", "a\nb")
    assert (diff.summary, diff.lines) == ("new file, 2 lines", ("+a", "+b"))


def test_same_content_is_no_change(workspace: Workspace) -> None:
    assert diff_write(workspace, "a.txt", "one\ntwo\nthree\n").summary == "no change"


def test_missing_line_feed_at_the_end_is_said(workspace: Workspace) -> None:
    assert diff_write(workspace, "a.txt", "one\ntwo\nthree").lines[-2:] == ("+three", "\\ No newline at end of file")


def test_separators_inside_a_line_do_not_hide_a_change(workspace: Workspace) -> None:
    diff = diff_write(workspace, "a.txt", "one\ntwo\u2028rm\x0c\nthree\n")
    assert "+two\\u2028rm\\x0c" in diff.render().plain


def test_line_ends_of_windows_are_not_noise(workspace: Workspace) -> None:
    (workspace.root / "w.txt").write_bytes(b"a\r\nb\r\n")
    assert diff_write(workspace, "w.txt", "a\r\nc\r\n").lines[-2:] == ("-b", "+c")
    assert "\\r" in diff_write(workspace, "w.txt", "a\nb\r\n").render().plain


def test_long_diff_says_what_follows_and_can_be_shown_whole(workspace: Workspace) -> None:
    content = "".join(f"{number}\n" for number in range(MAX_LINES + 10)) + "x" * 3000
    diff = diff_write(workspace, "new.txt", content)
    assert diff.is_cut
    assert diff.render().plain.endswith("… 11 more lines, 3041 more characters")
    assert diff.render(whole=True).plain.endswith("x" * 3000)
    assert "… 1001 more characters" in diff_write(workspace, "b.txt", "x" * 3000).render().plain


def test_what_cannot_be_read_is_said(workspace: Workspace) -> None:
    (workspace.root / "binary").write_bytes(b"\xff\xfe")
    assert "cannot be read as text" in diff_write(workspace, "binary", "x").summary
    assert "cannot be read as text" in diff_write(workspace, "../x", "x").summary


def test_huge_file_is_not_compared_line_by_line(workspace: Workspace) -> None:
    (workspace.root / "huge").write_text("a\n" * 15_000)
    assert diff_write(workspace, "huge", "b\n" * 15_000).summary == "replaces 15000 lines by 15000 lines"


@pytest.mark.parametrize("path", [".env", "conf/prod.env.bak", "notes.txt"])
def test_what_a_secret_file_holds_is_withheld(workspace: Workspace, path: str) -> None:
    for name in (".env", "conf/prod.env.bak"):
        (workspace.root / name).parent.mkdir(exist_ok=True)
        (workspace.root / name).write_text("A=1\nKEY=canary\nB=2\n")
    (workspace.root / "notes.txt").symlink_to(".env")
    written = diff_write(workspace, path, "A=1\nnew\n")
    assert written.lines == ("+A=1", "+new")
    assert "not shown" in written.summary
    for old in ("A=1", "no such text"):
        edited = diff_edit(workspace, {"path": path, "old": old, "new": "A=2"})
        assert edited.lines == (f"-{old}", "+A=2")
        assert "canary" not in edited.summary


def test_new_secret_file_is_shown(workspace: Workspace) -> None:
    assert diff_write(workspace, ".env", "A=1\n").summary == "new file, 1 line"
