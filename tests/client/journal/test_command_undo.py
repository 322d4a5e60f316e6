"""What commands change is put back like the change of any other call, and what cannot be is listed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from client.configuration import workspace_folder
from client.workspace.executor import ToolOutcome, WorkspaceExecutor
from client.workspace.journal import listing, snapshot
from client.workspace.journal.commands import CommandChanges
from client.workspace.request import ToolRequest
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.confinement import Confinement
from tests.client.journal.bench import Bench, S, command, edit, write
from tests.client.processes import running

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are those of a POSIX shell")


def run(bench: Bench, text: str, **more: object) -> ToolOutcome:
    return bench.turn(command(text, **more))[0]


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder with its mode and content."""
    found = [path for path in root.rglob("*") if ".agent-runtime" not in path.parts and ".git" not in path.parts]
    return {
        path.relative_to(root).as_posix(): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in found
    }


@pytest.mark.parametrize(
    "text",
    [
        "sed -i s/old/new/ a.txt",
        "printf new > a.txt; printf more >> a.txt",
        "printf 'NEW\\n' > a.txt",
        "rm a.txt",
        "mv a.txt b.txt",
        "cp a.txt c.txt; echo x > 'with space.txt'; echo y > $'line\\nbreak'",
        "rm run.sh",
        "mkdir -p new/deep; echo 1 > new/deep/f; mkdir new/empty",
        "rm -r d",
        "mv d e",
        "rm -r d; echo file > d",
        "rm a.txt; mkdir a.txt; echo x > a.txt/x",
        "rm -r d; mkdir d; echo other > d/z",
        "echo x > d/sub/x; rm d/sub/y; false",
        "touch -d 2001-01-01 a.txt; chmod 600 d/z",
        "printf '\\377\\376' > a.txt; printf '\\0' > binary",
        "echo ю > 'имя 名.txt'",
    ],
)
def test_changes_of_a_command_are_taken_back_and_again(bench: Bench, text: str) -> None:
    (bench.root / "d/sub").mkdir(parents=True)
    (bench.root / "d/empty").mkdir()
    (bench.root / "d/z").write_text("z")
    (bench.root / "d/z").chmod(0o600)
    (bench.root / "d/sub/y").write_bytes(b"\xff\r\n")
    (bench.root / "run.sh").write_text("#!/bin/sh\n")
    (bench.root / "run.sh").chmod(0o751)
    before = tree(bench.root)
    run(bench, text)
    after = tree(bench.root)
    if text.startswith("touch"):
        assert before == after
        return
    assert after != before
    assert bench.undo().conflicts == {}
    assert tree(bench.root) == before
    assert bench.undo(redo=True).conflicts == {}
    assert {path: content for path, (_, content) in tree(bench.root).items()} == {
        path: content for path, (_, content) in after.items()
    }


def test_commands_and_calls_of_one_turn_are_taken_back_together(bench: Bench) -> None:
    before = tree(bench.root)
    bench.turn(
        write("a.txt", "one\n"),
        command("printf 'two\\n' > a.txt; mkdir d; echo x > d/x"),
        edit("a.txt", "two", "three"),
        command("rm -r d"),
        command("mkdir d; printf 'four\\n' > a.txt; echo y > d/y"),
    )
    assert bench.undo().conflicts == {}
    assert tree(bench.root) == before


def test_git_that_checks_another_branch_out_is_taken_back(bench: Bench) -> None:
    def git(*words: str) -> None:
        author = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *author, *words], cwd=bench.root, check=True, capture_output=True)

    git("init", "-b", "main")
    git("add", "a.txt")
    git("commit", "-m", "first")
    git("checkout", "-b", "other")
    (bench.root / "a.txt").write_text("other\n")
    (bench.root / "b.txt").write_text("b\n")
    git("add", ".")
    git("commit", "-m", "second")
    before = tree(bench.root)
    run(bench, "git checkout main")
    assert bench.root.joinpath("a.txt").read_text() == "old\n"
    report = bench.undo()
    assert (sorted(report.restored), report.conflicts) == (["a.txt", "b.txt"], {})
    assert tree(bench.root) == before


def test_what_was_changed_since_the_command_is_left(bench: Bench) -> None:
    run(bench, "echo one > a.txt; echo two > b.txt")
    (bench.root / "b.txt").write_text("by hand\n")
    report = bench.undo()
    assert (report.restored, report.conflicts) == (["a.txt"], {"b.txt": "it was changed since"})


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("echo x >> big.txt", "big.txt", "changed by a command, not kept: it is too large"),
        ("rm big.txt", "big.txt", "removed by a command, not kept: it is too large"),
        ("echo x >> binary", "binary", "changed by a command, not kept: it is no text"),
        ("head -c 2000 /dev/zero > a.txt", "a.txt", "changed by a command; now it is too large"),
        ("head -c 2000 /dev/zero > new", "new", "created by a command; it is too large"),
        ("ln -s a.txt link", "link", "created by a command; it is no regular file"),
        ("rm old-link", "old-link", "removed by a command; it was no regular file"),
        ("ln -sf /etc/passwd old-link", "old-link", "changed by a command; it is no regular file"),
        ("rm -r .git", ".git", "removed by a command; what such a folder holds is not kept"),
        ("mkfifo pipe", "pipe", "created by a command; it is no regular file"),
        ("chmod 755 a.txt", "a.txt", "a command changed its mode from 644 to 755"),
        ("chmod 600 big.txt", "big.txt", "a command changed its mode from 644 to 600"),
        ("chmod 700 .git", ".git", "a command changed its mode from 755 to 700"),
    ],
)
def test_what_cannot_be_taken_back_is_listed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, text: str, path: str, said: str
) -> None:
    monkeypatch.setattr(snapshot, "MAX_FILE_BYTES", 1000)
    (bench.root / "big.txt").write_text("x" * 1001)
    (bench.root / "binary").write_bytes(b"\0")
    (bench.root / "old-link").symlink_to("a.txt")
    (bench.root / ".git").mkdir()
    for file, mode in (("a.txt", 0o644), ("big.txt", 0o644), (".git", 0o755)):
        (bench.root / file).chmod(mode)
    run(bench, text)
    after = tree(bench.root)
    assert bench.undo().conflicts == {path: said}
    assert tree(bench.root) == after


def test_contents_beyond_the_limit_are_not_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MAX_KEPT_BYTES", 100)
    for name in ("b.txt", "c.txt", "d.txt"):
        (bench.root / name).write_text(name[0] * 45)
    run(bench, "echo x | tee b.txt c.txt d.txt")
    report = bench.undo()
    assert report.restored == ["c.txt", "b.txt"]
    assert report.conflicts == {"d.txt": "changed by a command, not kept: there was no space left for it"}


def test_folders_beyond_the_bound_are_left_out_and_the_others_are_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 12)
    (bench.root / "deep/many").mkdir(parents=True)
    for number in range(20):
        (bench.root / f"deep/many/{number}").touch()
    (bench.root / "deep/one.txt").write_text("one")
    run(bench, "echo x > deep/one.txt; echo x > deep/many/1; echo x > deep/many/new; echo x > new.txt")
    report = bench.undo()
    assert (report.restored, report.removed) == (["deep/one.txt"], ["new.txt"])
    assert report.conflicts == {".": snapshot.PARTIAL}
    assert (bench.root / "deep/many/1").read_text() == "x\n"


def test_command_that_makes_more_files_than_are_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 12)
    run(bench, "echo x > a.txt; mkdir out; for n in $(seq 30); do echo > out/$n; done")
    report = bench.undo()
    assert (report.restored, report.conflicts) == (["a.txt"], {".": snapshot.PARTIAL})
    assert len(list((bench.root / "out").iterdir())) == 30


def test_ignored_folders_are_not_looked_into(bench: Bench) -> None:
    for name in (".git", "node_modules", ".venv", "d/__pycache__"):
        (bench.root / name).mkdir(parents=True)
    outcome = run(bench, "for f in .git node_modules .venv d/__pycache__; do echo x > $f/x; done; echo y > a.txt")
    assert outcome.changed == ("a.txt",)
    assert bench.undo().conflicts == {}
    assert (bench.root / "node_modules/x").exists()


def test_second_snapshot_reads_what_changed_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "SETTLED_NS", 0)
    for number in range(30):
        (bench.root / f"{number}.txt").write_text("x")
    with (tmp_path / "contents").open("w+b") as contents:
        kept = snapshot.Snapshot(bench.workspace, contents)
        kept.take()
        assert contents.seek(0, os.SEEK_END) == 34
        (bench.root / "7.txt").write_text("yy")
        kept.take()
        assert contents.seek(0, os.SEEK_END) == 36


def test_file_rewritten_within_one_time_stamp_is_noticed(bench: Bench) -> None:
    file = bench.root / "a.txt"
    facts = file.stat()
    run(bench, f"printf 'new\\n' > a.txt; touch -d @{facts.st_mtime_ns / 1e9:.9f} a.txt")
    assert bench.undo().restored == ["a.txt"]
    assert file.read_text() == "old\n"


def test_link_in_the_place_of_a_folder_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs.txt").write_text("theirs")
    (bench.root / "d").mkdir()
    (bench.root / "d/mine.txt").write_text("mine")
    outcome = run(bench, f"rm -r d; ln -s {outside} d")
    assert "d/theirs.txt" not in outcome.changed
    report = bench.undo()
    assert set(report.conflicts) == {"d", "d/mine.txt"}
    assert [path.name for path in outside.iterdir()] == ["theirs.txt"]


def test_command_that_fails_is_stopped_or_cannot_start_is_noted_too(bench: Bench) -> None:
    run(bench, "echo one > a.txt; exit 3")
    run(bench, "echo two > a.txt; sleep 71.5", timeout=1)
    assert not running("sleep", "71.5")
    assert bench.undo().restored == ["a.txt"]
    assert (bench.root / "a.txt").read_text() == "one\n"
    bench.undo()
    assert (bench.root / "a.txt").read_text() == "old\n"


def test_what_another_session_wrote_meanwhile_is_not_the_commands(bench: Bench) -> None:
    other = Bench(bench.root)
    bench.executor.begin_turn(S)
    with CommandChanges(bench.workspace, bench.journal).noting([]):
        (bench.root / "c.txt").write_text("by the command\n")
        other.turn(write("a.txt", "theirs\n"), session="s2")
    report = bench.undo()
    assert (report.removed, report.restored, report.conflicts) == (["c.txt"], [], {})
    assert bench.files() == {"a.txt": "theirs\n"}


def test_contents_of_a_snapshot_have_no_name_and_no_secret_lies_in_the_workspace(bench: Bench) -> None:
    (bench.root / ".env").write_text("KEY=secret\n")
    (bench.root / "b.env").write_text("KEY=secret too\n")
    run(bench, "echo KEY=other > .env")
    kept = workspace_folder(bench.root) / "undo"
    holding = [path for path in (*kept.rglob("*"), *bench.root.rglob("*")) if path.is_file()]
    assert [path.name for path in holding if b"secret too" in path.read_bytes()] == ["b.env"]
    found = [path for path in holding if b"=secret\n" in path.read_bytes()]
    assert [path.parent.name for path in found] == ["contents"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in (kept, kept.parent, kept / "contents"))
    bench.undo()
    assert bench.files()[".env"] == "KEY=secret\n"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed: apt-get install bubblewrap")
def test_nothing_is_noted_where_a_command_cannot_write(bench: Bench) -> None:
    executor = WorkspaceExecutor(bench.workspace, Confinement(find_boundary()))
    executor.begin_turn(S)
    for asked in (False, True):
        request = ToolRequest("execute_command", {"command": "touch b.txt"}, is_asked=asked)
        outcome = executor.execute(executor.examine(request))
        assert outcome.changed == (("b.txt",) if asked else ())
    assert bench.undo().removed == ["b.txt"]


def test_command_that_only_reads_is_no_turn(bench: Bench) -> None:
    bench.turn(write("a.txt", "one\n"))
    bench.executor.begin_turn(S)
    outcome = bench.executor.execute(bench.executor.examine(ToolRequest("execute_command", {"command": "cat a.txt"})))
    assert outcome.result["stdout"] == "one\n"
    run(bench, "true")
    assert bench.undo().restored == ["a.txt"]


def test_old_content_that_cannot_be_kept_is_said_and_the_command_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = workspace_folder(bench.root) / "undo/contents"
    contents.rmdir()
    contents.write_text("in the way")
    outcome = run(bench, "echo x > a.txt; echo said")
    assert outcome.result["stdout"] == "said\n"
    assert outcome.warning == "What the command changed cannot be taken back: not a directory."
