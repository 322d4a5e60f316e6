"""`runs/decision` decides from values: it waits for nothing, reads no clock and calls no statement."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

DECISION = Path(__file__).parents[2] / "runs" / "decision"
IMPURE = {"asyncio", "time", "datetime", "random", "secrets", "os", "pathlib", "httpx", "psycopg", "aiosqlite"}
RECORDS_ONLY = "storage"
"""Of storage only records and their types are imported: names that begin with a capital letter."""


@pytest.mark.parametrize("path", sorted(DECISION.glob("*.py")), ids=lambda path: path.stem)
def test_a_decision_does_no_io(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncWith)]
    plain = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    assert not (plain | {str(node.module).split(".")[0] for node in named}) & IMPURE
    assert RECORDS_ONLY not in plain
    functions = [
        f"{node.module}.{alias.name}"
        for node in named
        if str(node.module).split(".")[0] == RECORDS_ONLY
        for alias in node.names
        if not alias.name[0].isupper()
    ]
    assert functions == []


def test_the_package_has_modules() -> None:
    assert len(list(DECISION.glob("*.py"))) > 5
