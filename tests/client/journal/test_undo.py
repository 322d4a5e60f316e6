"""The files of a turn put back: conflicts stay, an undo can be taken back, old contents lie outside the workspace."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from client.configuration import workspace_folder
from client.workspace.journal import journal as journals
from client.workspace.journal.undo import undo
from client.workspace.request import ToolRequest
from tests.client.journal.bench import Bench, S, edit, write
from tests.client.runtime_double import KEY, calls, done, runtime, says, status
from tests.client.terminal.person import at_terminal
from tests.client.test_cli import agent_runtime, one_sentence


def test_changed_file_is_put_back_and_new_one_removed(bench: Bench) -> None:
    before = bench.files()
    bench.turn(write("a.txt", "one\n"), edit("a.txt", "one", "two"), write("d/new.txt", "x\n", create_dirs=True))
    after = bench.files()
    report = bench.undo()
    assert (report.restored, report.removed, report.conflicts) == (["a.txt"], ["d/new.txt", "d"], {})
    assert bench.files() == before
    report = bench.undo(redo=True)
    assert (sorted(report.restored), report.conflicts) == (["a.txt", "d", "d/new.txt"], {})
    assert bench.files() == after


def test_turns_are_taken_back_one_after_the_other(bench: Bench) -> None:
    for number in (1, 2, 3):
        bench.turn(write("a.txt", f"{number}\n"))
    for content in ("2\n", "1\n", "old\n"):
        bench.undo()
        assert bench.files() == {"a.txt": content}
    assert undo(bench.workspace, bench.journal, S) is None
    for content in ("1\n", "2\n", "3\n"):
        bench.undo(redo=True)
        assert bench.files() == {"a.txt": content}
    assert undo(bench.workspace, bench.journal, S, redo=True) is None
    bench.undo()
    assert bench.files() == {"a.txt": "2\n"}


def test_file_that_was_changed_since_is_listed_and_left(bench: Bench) -> None:
    bench.turn(write("a.txt", "one\n"), write("b.txt", "b\n"), write("c.txt", "c\n"))
    (bench.root / "a.txt").write_text("by hand\n")
    (bench.root / "c.txt").unlink()
    report = bench.undo()
    assert report.conflicts == {"a.txt": "it was changed since"}
    assert report.removed == ["b.txt"]
    assert bench.files() == {"a.txt": "by hand\n"}


def test_what_somebody_else_wrote_between_two_changes_of_a_turn_stays(bench: Bench) -> None:
    bench.turn(write("a.txt", "one\n"))
    (bench.root / "a.txt").write_text("by hand\n")
    outcome = bench.executor.execute(bench.executor.examine(ToolRequest(*write("a.txt", "two\n"), is_asked=True)))
    assert outcome.error is None
    bench.undo()
    assert bench.files() == {"a.txt": "by hand\n"}


def test_link_that_was_put_in_the_place_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    bench.turn(write("a.txt", "one\n"))
    outside = tmp_path / "outside.txt"
    outside.write_text("one\n")
    (bench.root / "a.txt").unlink()
    (bench.root / "a.txt").symlink_to(outside)
    assert list(bench.undo().conflicts) == ["a.txt"]
    assert outside.read_text() == "one\n"


def test_empty_folder_is_removed_and_a_used_one_is_not(bench: Bench) -> None:
    bench.turn(("create_directory", {"path": "d"}), ("create_directory", {"path": "e"}))
    (bench.root / "e/mine.txt").write_text("x")
    report = bench.undo()
    assert (report.removed, report.conflicts) == (["d"], {"e": "the folder is not empty"})


def test_mode_is_kept_and_bytes_of_any_encoding(bench: Bench) -> None:
    script = bench.root / "run.sh"
    script.write_bytes(b"\xff\xfe#!\r\n")
    script.chmod(0o755)
    bench.turn(write("run.sh", "new", backup=False))
    bench.undo()
    assert script.read_bytes() == b"\xff\xfe#!\r\n"
    assert stat.S_IMODE(script.stat().st_mode) == 0o755


def test_old_contents_lie_in_the_users_folder_alone(bench: Bench) -> None:
    (bench.root / ".env").write_text("KEY=secret\n")
    bench.turn(write(".env", "KEY=other\n", backup=False))
    holding = [path for path in bench.root.rglob("*") if path.is_file() and b"KEY=secret" in path.read_bytes()]
    assert holding == []
    kept = list((workspace_folder(bench.root) / "undo/contents").iterdir())
    assert [(file.read_text(), stat.S_IMODE(file.stat().st_mode)) for file in kept] == [("KEY=secret\n", 0o600)]
    bench.undo()
    assert bench.files()[".env"] == "KEY=secret\n"


def test_undo_is_of_one_session_or_of_the_last_that_changed_something(bench: Bench) -> None:
    bench.turn(write("a.txt", "first\n"), session="s1")
    bench.turn(write("b.txt", "second\n"), session="s2")
    bench.undo(session="s1")
    assert bench.files() == {"a.txt": "old\n", "b.txt": "second\n"}
    bench.undo(session=None)
    assert bench.files() == {"a.txt": "old\n"}


def test_undo_that_could_put_nothing_back_leads_on_to_the_turn_before(bench: Bench) -> None:
    bench.turn(write("a.txt", "one\n"))
    bench.turn(write("b.txt", "two\n"))
    (bench.root / "b.txt").write_text("by hand\n")
    assert list(bench.undo().conflicts) == ["b.txt"]
    assert bench.undo().restored == ["a.txt"]
    assert bench.files() == {"a.txt": "old\n", "b.txt": "by hand\n"}


def test_oldest_turns_are_forgotten_with_their_contents(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        bench.turn(write("a.txt", f"{number}\n"))
    monkeypatch.setattr(journals, "MAX_TURNS", 4)
    again = Bench(bench.root)
    assert len(list((workspace_folder(bench.root) / "undo/contents").iterdir())) == 2
    again.undo()
    again.undo()
    assert undo(again.workspace, again.journal, S) is None
    assert again.files() == {"a.txt": "4\n"}


def test_command_line_takes_back_and_again(bench: Bench) -> None:
    where = ("-w", str(bench.root))
    assert "nothing to take back" in one_sentence(agent_runtime("undo", *where))
    bench.turn(write("a.txt", "one\n"), write("b.txt", "b\n"))
    (bench.root / "b.txt").write_text("by hand\n")
    done_ = agent_runtime("undo", *where)
    assert done_.returncode == 1
    assert done_.stdout.splitlines() == ["put back: a.txt", "left as it is: b.txt (it was changed since)"]
    assert agent_runtime("undo", *where, "--redo").stdout == "put back: a.txt\n"
    assert bench.files()["a.txt"] == "one\n"


@pytest.mark.skipif(os.name == "nt", reason="there is no pty")
@pytest.mark.timeout(400)
def test_conversation_is_told_of_an_undo(tmp_path: Path) -> None:
    write_call = [calls("c1", "write_file", path="b.txt", content="new\n"), done("awaiting_tool")]
    recorded = [status("c1", "result_recorded"), says("All done."), done()]
    with runtime(write_call, recorded, [says("I see."), done()]) as double:
        options = ("--url", double.url, "--key", KEY, "-w", str(tmp_path))
        with at_terminal("chat", *options) as person:
            person.wait_for("You")
            person.type("write it")
            person.wait_for("All done.")
            person.wait_for("You")
            person.type("/undo")
            person.wait_for("removed: b.txt")
            assert not (tmp_path / "b.txt").exists()
            person.wait_for("You")
            person.type("and now?")
            person.wait_for("I see.")
        told = double.messages[-1]["content"]
        assert told == "The user undid your last changes; the contents of b.txt changed.\n\nand now?"
