"""search_in_code: finds text and expressions, leaves out what nobody means, and cannot be made to hang."""

from pathlib import Path
from typing import Any

import pytest

from client.workspace.folder import Refusal, Workspace
from client.workspace.search import search_in_code
from tests.client.workspace.tool_calls import execute


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "a.py").write_text("Alpha\nbeta alpha\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.txt").write_text("ALPHA (x)\n")
    return Workspace(tmp_path)


def run(workspace: Workspace, **arguments: Any) -> dict[str, Any]:
    outcome = execute(workspace, "search_in_code", arguments)
    assert outcome.error is None, outcome.error
    assert isinstance(outcome.result, dict)
    return outcome.result


def places(result: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(match["path"], match["line"], match["column"]) for match in result["matches"]]


def test_text_is_found_in_any_case(workspace: Workspace) -> None:
    result = run(workspace, query="alpha")
    assert places(result) == [("a.py", 1, 1), ("a.py", 2, 6), ("sub/b.txt", 1, 1)]
    assert (result["query"], result["total_matches"], result["truncated"]) == ("alpha", 3, False)
    assert places(run(workspace, query="alpha", case_sensitive=True)) == [("a.py", 2, 6)]
    assert places(run(workspace, query="(x)")) == [("sub/b.txt", 1, 7)]


def test_path_and_pattern_narrow_the_search(workspace: Workspace) -> None:
    assert places(run(workspace, query="alpha", path="sub")) == [("sub/b.txt", 1, 1)]
    assert places(run(workspace, query="alpha", path="sub/b.txt")) == [("sub/b.txt", 1, 1)]
    assert places(run(workspace, query="alpha", file_pattern="*.py")) == [("a.py", 1, 1), ("a.py", 2, 6)]


def test_results_are_limited_and_counted(workspace: Workspace) -> None:
    result = run(workspace, query="alpha", max_results=1)
    assert (len(result["matches"]), result["total_matches"], result["truncated"]) == (1, 3, True)


def test_expression_is_searched_in_a_child(workspace: Workspace) -> None:
    assert places(run(workspace, query=r"^beta\s+\w+$", regex=True)) == [("a.py", 2, 1)]


def test_noise_binaries_links_and_secrets_are_left_out(workspace: Workspace) -> None:
    for folder in (".git", "node_modules", ".agent-runtime"):
        (workspace.root / folder).mkdir()
        (workspace.root / folder / "x").write_text("alpha\n")
    (workspace.root / "binary").write_bytes(b"alpha\0alpha")
    (workspace.root / "link").symlink_to("a.py")
    (workspace.root / ".env").write_text("KEY=alpha\n")
    assert {path for path, _, _ in places(run(workspace, query="alpha"))} == {"a.py", "sub/b.txt"}
    assert places(run(workspace, query="alpha", path=".env")) == [(".env", 1, 5)]
    assert places(run(workspace, query="alpha", file_pattern=".env")) == [(".env", 1, 5)]


def test_expression_without_end_is_stopped(workspace: Workspace) -> None:
    (workspace.root / "evil").write_text("a" * 60 + "!\n")
    with pytest.raises(Refusal, match="took longer than 1 seconds"):
        search_in_code(workspace, {"query": "(a+)+$", "regex": True}, workspace.locate("."), regex_timeout_s=1)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"query": ""}, "empty"),
        ({"query": "(", "regex": True}, "not valid"),
        ({"query": "x" * 1001, "regex": True}, "longer than"),
        ({"query": "x", "path": "none"}, "no file or folder"),
        ({"query": "x", "path": "none", "regex": True}, "no file or folder"),
    ],
)
def test_failures_are_sentences(workspace: Workspace, arguments: dict[str, Any], part: str) -> None:
    outcome = execute(workspace, "search_in_code", arguments)
    assert outcome.error is not None
    assert part in outcome.error
