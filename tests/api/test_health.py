"""Whether the process lives and can take work."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.openai_stub import OpenAIStub
from tests.running import talking


def test_health_and_readiness(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub, version="9.9") as client:
        assert client.get("/health").json() == {"status": "healthy", "service": "agent-runtime", "version": "9.9"}
        assert client.get("/ready").json() == {
            "status": "ready",
            "checks": {"database": "ok", "checkpointer": "ok", "llm": "closed"},
        }


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("table", "part"), [("sessions", "database"), ("checkpoints", "checkpointer")])
def test_a_part_that_fails_is_named(db_url: str, stub: OpenAIStub, tmp_path: Path, table: str, part: str) -> None:
    with talking(db_url, stub) as client:
        assert client.get("/ready").status_code == 200, "loads the checkpointer, which makes a table that is missing"
        with sqlite3.connect(f"{tmp_path}/test.db") as connection:
            connection.execute(f"alter table {table} rename to gone")
        connection.close()
        response = client.get("/ready")
        wanted = {"database": "ok", "checkpointer": "ok", "llm": "closed", part: "unreachable"}
        assert (response.status_code, response.json()) == (503, {"status": "not_ready", "checks": wanted})
        assert int(response.headers["Retry-After"]) > 0
        assert client.get("/health").status_code == 200
        with sqlite3.connect(f"{tmp_path}/test.db") as connection:
            connection.execute(f"alter table gone rename to {table}")
        connection.close()
        assert client.get("/ready").status_code == 200


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_a_checkpointer_that_cannot_be_opened_is_named_and_opened_later(
    db_url: str, stub: OpenAIStub, tmp_path: Path
) -> None:
    file, away = tmp_path / "test.db", tmp_path / "away.db"
    with talking(db_url, stub) as client:
        file.rename(away)
        file.mkdir()
        response = client.get("/ready")
        assert (response.status_code, response.json()["checks"]["checkpointer"]) == (503, "unreachable")
        file.rmdir()
        away.rename(file)
        assert client.get("/ready").status_code == 200


def test_agents(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        told = client.get("/agents").json()
        assert [agent["type"] for agent in told["agents"]] == ["orchestrator", "coder", "architect", "debug", "ask"]
        assert told["total"] == 5
        architect = told["agents"][2]
        assert (architect["name"], architect["has_file_restrictions"]) == ("Architect Agent", True)
        client.post("/sessions", json={"session_id": "s"})
        current = client.get("/agents/s/current").json()["context"]
        assert (current["current_agent"], current["switch_count"], current["switch_history"]) == (
            "orchestrator",
            0,
            None,
        )
        switched = client.post("/agents/s/switch", json={"target_agent": "ask", "confidence": "low"}).json()["context"]
        assert (switched["current_agent"], switched["switch_count"]) == ("ask", 1)
        hop = switched["switch_history"][0]
        assert hop | {"switched_at": ""} == {
            "from_agent": "orchestrator",
            "to_agent": "ask",
            "reason": "User requested agent switch",
            "switched_at": "",
            "confidence": "low",
        }
        refusals = {
            "ask": "Cannot switch from agent 'ask' to agent 'ask': agent is already active",
            "x": "Invalid agent type: 'x'. Allowed values: ['orchestrator', 'coder', 'architect', 'debug', 'ask']",
        }
        for target, sentence in refusals.items():
            refused = client.post("/agents/s/switch", json={"target_agent": target})
            assert (refused.status_code, refused.json()["detail"]) == (400, sentence)
        assert client.post("/agents/s/switch", json={}).status_code == 422
        missing = client.get("/agents/nobody/current")
        assert (missing.status_code, missing.json()["detail"]) == (404, "Agent context for session nobody not found")
    with talking(db_url, stub, multi_agent_mode="false") as client:
        assert [a["type"] for a in client.get("/agents").json()["agents"]] == ["orchestrator", "universal"]
