"""A running server whose model plays the stub's script."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.openai_stub import OpenAIStub
from tests.running import talking

Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve(stub: OpenAIStub, sqlite_template: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start servers on one SQLite file, or on the `db_url` given; each call gives a client of a new one."""
    shutil.copy(sqlite_template, tmp_path / "test.db")
    with ExitStack() as stack:

        def start(**settings: Any) -> httpx.Client:
            chosen = {"db_url": f"sqlite:///{tmp_path}/test.db", **settings}
            return stack.enter_context(talking(stub=stub, **chosen))

        yield start


def outcomes(db_file: Path, purpose: str = "agent") -> list[str]:
    """The outcomes of the stored model calls, oldest first."""
    import sqlite3

    with sqlite3.connect(db_file) as connection:
        query = "select outcome from llm_calls where purpose = ? order by started_at, rowid"
        return [row[0] for row in connection.execute(query, [purpose])]
