"""The original's metric views and Prometheus' numbers: from stored rows, so a restart changes nothing."""

from __future__ import annotations

import re
from typing import Any

import httpx

from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking

VIEWS = ("/events/metrics", "/events/metrics/sessions", "/events/audit-log", "/events/stats")


def busy_session(client: httpx.Client, stub: OpenAIStub) -> Ide:
    """A switch, a classifier call, an approval, an edit, a rejection, a failed tool, a failed model."""
    ide = Ide(client, 1, session_id="busy")
    stub.script(
        [
            {"tool": "write_file", "args": WRITE, "id": "c1"},
            {"tool": "write_file", "args": {**WRITE, "path": "lib/b.dart"}, "id": "c2"},
            {"tool": "write_file", "args": {**WRITE, "path": "lib/c.dart"}, "id": "c3"},
            {"tool": "read_file", "args": {"path": "a"}, "id": "r1"},
            {"text": "Done."},
            {"status": 400},
        ]
    )
    ide.say("Write lib/a.dart")
    ide.decide("c1", "approve")
    ide.result("c1", "ok")
    ide.decide("c2", "edit", modified_arguments={**WRITE, "content": "y"})
    ide.result("c2", "ok")
    ide.decide("c3", "reject")
    ide.result("r1", error="No such file")
    ide.say("Fail now")
    return ide


def views(client: httpx.Client) -> list[Any]:
    found = [client.get(path).json() for path in (*VIEWS, "/events/metrics/session/busy")]
    for view in found:
        view.pop("timestamp", None)
    return found


def of_the_database(exposition: str) -> list[str]:
    """The samples that every process shows alike."""
    shared = r"agent_runtime_(sessions|runs|tool_calls|llm_calls|llm_call_seconds|llm_tokens)[ {]"
    return [line for line in exposition.splitlines() if re.match(shared, line)]


def test_views_survive_a_restart(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        busy_session(client, stub)
        before = views(client)
        numbers = of_the_database(client.get("/metrics").text)
    with talking(db_url, stub) as client:
        assert views(client) == before
        assert of_the_database(client.get("/metrics").text) == numbers
    overview, sessions, audit, stats, session = before
    metrics = overview["metrics"]
    assert metrics["agent_switches"] == {"orchestrator_to_coder": 1}
    coder = metrics["agent_processing"]["coder"]
    assert (coder["count"], coder["success_count"], coder["failure_count"]) == (6, 5, 1)
    assert set(metrics["agent_processing"]) == {"coder"}, "the classifier is not an agent at work"
    assert metrics["tool_executions"] == {
        "read_file": {"requested": 1, "completed": 0, "failed": 1, "requires_approval": 0},
        "write_file": {"requested": 3, "completed": 2, "failed": 0, "requires_approval": 3},
    }
    assert metrics["hitl_decisions"] == {"write_file": {"APPROVE": 1, "EDIT": 1, "REJECT": 1}}
    assert metrics["errors"] == {"coder": {"llm_unavailable": 1}}
    assert overview["computed"]["write_file_success_rate"] == 1
    assert overview["computed"]["read_file_success_rate"] == 0
    assert overview["computed"]["coder_avg_duration_ms"] == coder["total_duration_ms"] / 6
    assert sessions == {"sessions": ["busy"], "count": 1}
    types = [entry["event_type"] for entry in audit["audit_log"]]
    assert audit["count"] == len(types)
    assert sorted(types) == sorted(
        ["agent_switched", "agent_error", "tool_execution_failed"]
        + ["tool_approval_required"] * 3
        + ["hitl_decision_made"] * 3
    )
    assert stats["total_published"] > 10
    assert (stats["successful_handlers"], stats["failed_handlers"], stats["success_rate"]) == (1, 1, 0.5)
    assert (session["total_requests"], session["successful_requests"], session["failed_requests"]) == (6, 5, 1)
    assert session["requests_with_tools"] == 4
    assert session["total_tokens"] == session["total_prompt_tokens"] + session["total_completion_tokens"] > 0
    assert [r["success"] for r in session["requests"]] == [True] * 5 + [False]
    assert session["requests"][-1]["error"] == "llm_unavailable"


def test_filters_of_the_audit_log(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        busy_session(client, stub)
        whole = client.get("/events/audit-log").json()["audit_log"]
        assert [e["timestamp"] for e in whole] == sorted(e["timestamp"] for e in whole)
        assert len({e["event_id"] for e in whole}) == len(whole)
        last = client.get("/events/audit-log", params={"limit": 2}).json()
        assert (last["audit_log"], last["filters"]["limit"]) == (whole[-2:], 2)
        decided = client.get("/events/audit-log", params={"event_type": "hitl_decision_made"}).json()
        assert [e["call_id"] for e in decided["audit_log"]] == ["c1", "c2", "c3"]
        nobody = client.get("/events/audit-log", params={"session_id": "nobody"}).json()
        assert nobody == {
            "audit_log": [],
            "count": 0,
            "filters": {"session_id": "nobody", "event_type": None, "limit": 100},
        }
        missing = client.get("/events/metrics/session/nobody")
        assert (missing.status_code, missing.json()) == (404, {"error": "No metrics found for session nobody"})


def test_views_of_an_empty_database(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        empty = client.get("/events/metrics").json()
        assert not any(empty["metrics"].values())
        assert empty["computed"] == {}
        assert client.get("/events/stats").json() == {
            "total_published": 0,
            "successful_handlers": 0,
            "failed_handlers": 0,
            "last_event_time": None,
            "success_rate": 1.0,
        }
        assert client.get("/events/audit-log").json()["count"] == 0


def test_prometheus_text(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        busy_session(client, stub)
        response = client.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = response.text.splitlines()
        sample = re.compile(r'agent_runtime_\w+(\{\w+="[^"\\]*"(,\w+="[^"\\]*")*\})? [0-9.e+]+')
        assert [line for line in lines if not line.startswith("# ") and not sample.fullmatch(line)] == []
        assert 'agent_runtime_sessions{state="visible"} 1' in lines
        assert 'agent_runtime_tool_calls{tool="write_file",state="rejected"} 1' in lines
        failed = [line for line in lines if line.startswith("agent_runtime_llm_calls{") and 'outcome="failed"' in line]
        assert len(failed) == 1
        assert failed[0].endswith('purpose="agent",outcome="failed"} 1')
        assert "agent_runtime_active_runs 0.0" in lines
        assert "busy" not in response.text, "no names of sessions"
