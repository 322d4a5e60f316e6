"""Databases of the original with rows and tables that it would not write itself: what can be read is brought over."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.running import api_client, running_server
from tests.storage.original import make_original
from tests.storage.test_import_legacy import bring

BROKEN = [
    "update messages set timestamp = 'yesterday'",
    "update messages set timestamp = 1770000000",
    "update messages set content = 5",
    "update messages set content = x'ff41', tool_calls = x'ff'",
    "update messages set content = cast(x'70ff72' as text)",
    "update messages set content = 'a' || char(0) || 'b'",
    "update messages set tool_calls = 'null'",
    'update messages set tool_calls = \'[1, null, {"id": [1]}, {"id": {}, "function": {"name": 5}}]\'',
    "update messages set tool_calls = '{\"id\": \"x\"}', role = 'assistant'",
    "update messages set role = 'robot'",
    "update sessions set created_at = 'never', last_activity = ''",
    "update sessions set title = cast(x'cff0e8e2e5f2' as text)",
    "update agent_contexts set updated_at = 'x', current_agent = 'nobody', switch_count = 'many'",
    "update agent_switches set switched_at = 7e20, metadata_json = '{'",
    "update pending_approvals set created_at = 'x', arguments = '[1]', status = 'unheard of'",
    "update plans set created_at = 'x', updated_at = 'y', status = 5, metadata_json = '[]'",
    "update subtasks set estimated_time = 15, dependencies_json = '{', created_at = 'x', agent = 'nobody'",
    "alter table messages drop column token_count",
    "alter table messages drop column name",
    "alter table sessions drop column description",
    "alter table agent_contexts drop column metadata_json",
    "alter table pending_approvals drop column decision_reason",
    "drop table agent_switches",
    "drop table messages",
    "drop table subtasks",
]


@pytest.mark.parametrize("statement", BROKEN)
async def test_the_other_rows_are_brought_over(tmp_path: Path, statement: str) -> None:
    source, target = f"sqlite:///{tmp_path}/original.db", f"sqlite:///{tmp_path}/ours.db"
    make_original(source, "newest")
    with contextlib.closing(sqlite3.connect(tmp_path / "original.db", isolation_level=None)) as connection:
        connection.execute(statement)
    report = await bring(source, target)
    assert report.counts["sessions"] == 4, report.lines()
    again = await bring(source, target)
    assert (again.counts["sessions"], again.counts["already imported"]) == (0, 4)


def test_an_imported_session_with_broken_rows_is_readable(tmp_path: Path) -> None:
    source, target = f"sqlite:///{tmp_path}/original.db", f"sqlite:///{tmp_path}/ours.db"
    make_original(source, "newest")
    with contextlib.closing(sqlite3.connect(tmp_path / "original.db", isolation_level=None)) as connection:
        connection.execute("update messages set timestamp = 'yesterday', content = cast(x'70ff72' as text)")
        connection.execute("update sessions set created_at = 'never'")
    asyncio.run(bring(source, target))
    with running_server(db_url=target) as url, api_client(url) as client:
        history = client.get("/sessions/talk/history")
        assert history.status_code == 200
        assert "p\ufffdr" in {message["content"] for message in history.json()["messages"]}
        assert client.get("/sessions").status_code == 200
