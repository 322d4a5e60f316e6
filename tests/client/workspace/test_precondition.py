"""A write that presumes something about the file is refused when it does not hold (docs/protocol.md, Chunks)."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.precondition import CHANGED, NOT_READ, Precondition
from client.workspace.request import ToolRequest

OLD = sha256(b"old").hexdigest()


@pytest.fixture
def executor(tmp_path: Path) -> WorkspaceExecutor:
    (tmp_path / "a.txt").write_text("old")
    return WorkspaceExecutor(Workspace(tmp_path))


def write(path: str, declared: object) -> ToolRequest:
    precondition = Precondition.read({"precondition": declared})
    return ToolRequest("write_file", {"path": path, "content": "new"}, precondition=precondition)


@pytest.mark.parametrize(
    ("path", "declared", "refusal"),
    [
        ("a.txt", {"must_not_exist": True}, NOT_READ),
        ("a.txt", {"sha256": sha256(b"other").hexdigest()}, CHANGED),
        ("b.txt", {"sha256": OLD}, CHANGED),
        ("a.txt", {"sha256": OLD}, None),
        ("a.txt", {"sha256": OLD.upper()}, None),
        ("b.txt", {"must_not_exist": True}, None),
        ("a.txt", {"sha256": None}, None),
        ("a.txt", None, None),
    ],
)
def test_mismatch_is_refused_before_anybody_is_asked(
    executor: WorkspaceExecutor, tmp_path: Path, path: str, declared: dict[str, Any] | None, refusal: str | None
) -> None:
    examined = executor.examine(write(path, declared))
    assert examined.refusal == refusal
    outcome = executor.execute(examined)
    assert outcome.error == refusal
    assert ((tmp_path / path).exists() and (tmp_path / path).read_text() == "new") is (refusal is None)


def test_file_changed_while_the_person_decides_is_not_overwritten(executor: WorkspaceExecutor, tmp_path: Path) -> None:
    examined = executor.examine(write("a.txt", {"sha256": OLD}))
    with (tmp_path / "a.txt").open("r+") as file:
        file.write("changed in place")
    assert executor.execute(examined).error == CHANGED
    assert (tmp_path / "a.txt").read_text() == "changed in place"


def test_digest_of_a_write_is_the_precondition_of_the_next(executor: WorkspaceExecutor) -> None:
    written = executor.execute(executor.examine(write("a.txt", {"sha256": OLD}))).result["sha256"]
    assert executor.examine(write("a.txt", {"sha256": written})).refusal is None
    assert executor.examine(write("a.txt", {"sha256": OLD})).refusal == CHANGED
