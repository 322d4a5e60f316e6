"""Sessions of the original service are brought over, from its three public states, and go on here."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from errors import ConfigurationError
from graph.builder import build_graph
from policy.rules import load_rules
from runs.imported_approval import pausing
from settings import Settings
from storage.address import read_url
from storage.home import own_file
from storage.legacy.conversion import session_id_of
from storage.legacy.transfer import Report, import_legacy
from tests.ide import Ide, answer_of, of_type
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_server
from tests.storage.original import STRANGE_ID, State, contents, make_original

ROOT = Path(__file__).parent.parent.parent
STATES: tuple[State, ...] = ("january", "planning", "newest")
AGENTS = frozenset({"orchestrator", "coder", "architect", "debug", "ask"})
MAPPED = session_id_of(STRANGE_ID)
LOST = "pa-4"


@pytest.fixture
def source(empty_url: str) -> str:
    """The database of the original."""
    return empty_url


@pytest.fixture(params=["sqlite", "postgresql", "the same"])
def target(request: pytest.FixtureRequest, source: str, tmp_path: Path) -> Iterator[str]:
    """A database for ours: of each kind, and the one that holds the original's tables."""
    if request.param == "the same":
        yield source
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ours.db"
    else:
        with request.getfixturevalue("postgres").database(empty=True) as url:
            yield url


async def bring(source: str, target: str, owner: str = "") -> Report:
    pause = pausing(build_graph(), load_rules(), Settings.load())
    return await import_legacy(source, target, owner=owner, agents=AGENTS, pause=pause)


def undated(row: str) -> str:
    """A row without the values that differ with each import: the interrupt's id and the new deadline."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+", "…", re.sub(r"'[0-9a-f]{32}'", "…", row))


def stored(url: str) -> dict[str, list[Any]]:
    """Every row of ours."""
    address = read_url(url)
    is_file = address.dialect == "sqlite"
    opened: Any = sqlite3.connect(own_file(address.target)) if is_file else psycopg.connect(address.target)
    tables = ("sessions", "runs", "messages", "audit_log", "tool_calls", "plans")
    prefix = "" if is_file else "agent_runtime."
    with contextlib.closing(opened) as connection:
        return {t: sorted(map(repr, connection.execute(f"select * from {prefix}{t}").fetchall())) for t in tables}


@pytest.mark.parametrize("state", STATES)
async def test_everything_is_brought_over_once(source: str, target: str, state: State) -> None:
    make_original(source, state)
    before = contents(source, state)
    report = await bring(source, target)
    plans = 0 if state == "january" else 1
    assert report.counts == {"sessions": 4, "messages": 9, "switches": 1, "approvals": 3, "plans": plans}
    assert report.mapped == {STRANGE_ID: MAPPED}
    reasons = {(skip.table, skip.id) for skip in report.skipped}
    assert reasons == {
        ("messages", "m-talk-2"),
        ("pending_approvals", "call-gone"),
        ("pending_approvals", LOST),
        ("agent_contexts", "ctx-2"),
    }
    once = stored(target)
    again = await bring(source, target)
    assert again.counts == {"already imported": 4}
    assert stored(target) == once
    assert contents(source, state) == before


@pytest.mark.parametrize("target", ["the same"], indirect=True)
@pytest.mark.parametrize("state", STATES)
async def test_its_history_is_readable_and_the_session_goes_on(
    source: str, target: str, state: State, stub: OpenAIStub
) -> None:
    make_original(source, state, versioned=True)
    await bring(source, target)
    stub.script([{"text": "I remember."}, {"text": "Hello again."}])
    with (
        running_server(db_url=target, llm_model="scripted", llm_proxy_url=stub.url) as url,
        api_client(url) as client,
    ):
        listed = [session["id"] for session in client.get("/sessions").json()["sessions"]]
        assert listed == ["talk", MAPPED, "empty"]
        assert client.get("/sessions/gone/history").status_code == 404
        history = client.get("/sessions/talk/history").json()
        assert [m["role"] for m in history["messages"]] == [
            "user", "assistant", "tool", "assistant", "user", "assistant",
        ]  # fmt: skip
        assert history["messages"][3]["content"] == "It holds one line: привет."
        assert history["messages"][1]["tool_calls"][0]["function"]["name"] == "read_file"
        assert history["current_agent"] == "coder"
        assert history["agent_history"] == [
            {
                "from": "orchestrator",
                "to": "coder",
                "reason": "Code",
                "timestamp": "2026-02-10T10:02:00.123456+00:00",
            }
        ]
        assert answer_of(Ide(client, session_id="talk").say("What was in it?")) == "I remember."
        asked = stub.last_agent_request["messages"]
        assert [m["role"] for m in asked if m["role"] != "system"] == [
            "user", "assistant", "tool", "assistant", "user", "assistant", "tool", "assistant", "user",
        ]  # fmt: skip
        assert answer_of(Ide(client, session_id=MAPPED).say("hi", agent_type="ask")) == "Hello again."


@pytest.mark.parametrize("target", ["the same"], indirect=True)
@pytest.mark.parametrize("state", STATES)
async def test_a_pending_approval_is_approved_and_its_result_continues_the_turn(
    source: str, target: str, state: State, stub: OpenAIStub
) -> None:
    make_original(source, state)
    await bring(source, target)
    stub.script([{"text": "It is empty now."}])
    with (
        running_server(db_url=target, llm_model="scripted", llm_proxy_url=stub.url) as url,
        api_client(url) as client,
    ):
        waiting = client.get("/sessions/talk/pending-approvals").json()["pending_approvals"]
        assert [(row["call_id"], row["tool_name"]) for row in waiting] == [("call-2", "write_file")]
        told = Ide(client, session_id="talk").decide("call-2", "approve")
        assert of_type(told, "status")[0]["metadata"]["status"] == "approved"
        assert answer_of(Ide(client, session_id="talk").result("call-2", {"success": True})) == "It is empty now."
        roles = [m["role"] for m in client.get("/sessions/talk/history").json()["messages"]]
        assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant", "tool", "assistant"]
        asked = stub.last_agent_request["messages"]
        assert len([m for m in asked if m["role"] == "tool"]) == 2


async def test_plans_keep_what_became_of_them(source: str, tmp_path: Path) -> None:
    make_original(source, "newest")
    target = f"sqlite:///{tmp_path}/ours.db"
    await bring(source, target)
    with contextlib.closing(sqlite3.connect(tmp_path / "ours.db")) as connection:
        status, summary = connection.execute("select status, json_extract(summary, '$.subtasks') from plans").fetchone()
    assert status == "superseded"
    assert '"status":"completed"' in summary
    assert '"status":"skipped"' in summary


async def test_an_owner_is_given(source: str, tmp_path: Path) -> None:
    make_original(source, "january")
    target = f"sqlite:///{tmp_path}/ours.db"
    await bring(source, target, owner="gateway")
    with running_server(db_url=target) as url, api_client(url) as client:
        assert client.get("/sessions").json()["total"] == 0
    with running_server(db_url=target, internal_api_key="gateway=test-key") as url, api_client(url) as client:
        assert client.get("/sessions").json()["total"] == 3


async def test_a_session_of_ours_with_the_same_id_stays(source: str, tmp_path: Path) -> None:
    make_original(source, "january")
    target = f"sqlite:///{tmp_path}/ours.db"
    with running_server(db_url=target) as url, api_client(url) as client:
        Ide(client, session_id="talk").say('#script\n[{"text": "Ours."}]')
    report = await bring(source, target)
    assert report.counts["sessions"] == 3
    assert [skip.id for skip in report.skipped if skip.table == "sessions"] == ["talk"]
    with running_server(db_url=target) as url, api_client(url) as client:
        assert client.get("/sessions/talk").json()["session"]["message_count"] == 2


async def test_an_import_that_fails_in_the_middle_is_finished_by_the_next(source: str, tmp_path: Path) -> None:
    make_original(source, "newest")
    target = f"sqlite:///{tmp_path}/ours.db"
    await bring(source, target)
    whole = stored(target)
    with contextlib.closing(sqlite3.connect(tmp_path / "ours.db", isolation_level=None)) as connection:
        connection.execute("pragma foreign_keys=on")
        connection.execute("delete from sessions where id in ('talk', 'empty')")
    report = await bring(source, target)
    assert (report.counts["sessions"], report.counts["already imported"]) == (2, 2)
    again = stored(target)
    for table in ("messages", "plans"):
        assert again[table] == whole[table]
    assert [undated(row) for row in again["tool_calls"]] == [undated(row) for row in whole["tool_calls"]]


async def test_a_database_without_the_tables_of_the_original_is_refused(db_url: str, tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/ours.db"
    with running_server(db_url=db_url):
        pass
    with pytest.raises(ConfigurationError, match="without the tables of the original"):
        await bring(db_url, target)
    with pytest.raises(ConfigurationError, match="does not exist"):
        await bring(f"sqlite:///{tmp_path}/nothing.db", target)
    with pytest.raises(ConfigurationError, match="--from is not usable"):
        await bring("mysql://h/d", target)


def test_the_command_reports_what_it_did(source: str) -> None:
    make_original(source, "newest")
    command = [sys.executable, "-c", "from cli import main; main()", "import-legacy", "--from", source]
    environment = {**os.environ, "AGENT_RUNTIME__DB_URL": source, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "sessions: 4" in done.stdout
    assert MAPPED in done.stdout
    assert "skipped pending_approvals call-gone: imported as superseded" in done.stdout
