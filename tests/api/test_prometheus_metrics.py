"""What a process counts for Prometheus, and the page of docs that names every metric and label."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from api.routes.metrics import HELP, PREFIX
from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import KEY, talking

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
ROW = re.compile(r"^\| `(agent_runtime_\w+)` \| (counter|histogram|gauge) \| ([^|]*)\|", re.MULTILINE)


def figures(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of an exposition by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_session_is_counted_in_every_respect(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        ide = Ide(client, 2, session_id="busy")
        stub.script(
            [
                {"tool": "write_file", "args": WRITE, "id": "c1"},
                {"tool": "read_file", "args": {"path": "a"}, "id": "r1"},
                {"tool": "made_up_tool_of_the_model", "args": {}, "id": "u1"},
                {"text": "Done."},
                {"status": 413},
            ]
        )
        ide.say("Write lib/a.dart")
        ide.decide("c1", "approve")
        ide.result("c1", "ok")
        ide.result("r1", error="No such file")
        ide.say("Fail now")
        counted = figures(client.get("/metrics").text)

        def count(name: str, **labels: str) -> float:
            return counted[f"agent_runtime_{name}", tuple(sorted(labels.items()))]

        assert count("turns_total", outcome="awaiting_approval") == 1
        assert count("turns_total", outcome="awaiting_tool") == 1
        assert count("turns_total", outcome="completed") == 1
        assert count("turns_total", outcome="failed") == 1
        assert count("turn_seconds_count") == 4
        assert count("first_text_seconds_count") == 1
        assert count("llm_requests_total", model="scripted", purpose="classifier", result="ok") == 1
        assert count("llm_requests_total", model="scripted", purpose="agent", result="llm_unavailable") == 1
        assert count("llm_request_tokens_total", model="scripted", kind="prompt") > 0
        assert count("tool_verdicts_total", tool="write_file", verdict="ask") == 1
        assert count("tool_verdicts_total", tool="read_file", verdict="allow") == 1
        assert count("tool_verdicts_total", tool="other", verdict="deny") == 1
        assert count("tool_results_total", tool="write_file", state="done") == 1
        assert count("tool_results_total", tool="read_file", state="failed") == 1
        assert count("approvals_total", tool="write_file", decision="approve") == 1
        assert count("approval_seconds_count") == 1
        assert count("routes_total", method="llm") == 1
        assert count("log_append_seconds_count") > 0
        assert count("open_streams") == 0
        assert count("breaker_open", model="scripted") == 0
        assert not any("made_up" in str(key) for key in counted)
        page = client.get("/metrics").text
        stub.script([{"tool": "read_file", "args": {"path": "b"}, "id": "r2"}])
        ide.say("Read b")
        client.post("/sessions/busy/cancel")
        counted = figures(client.get("/metrics").text)
        assert count("turns_total", outcome="cancelled") == 1
    shown = {family.name: family for family in text_string_to_metric_families(page)}
    for name, kind, labels in ROW.findall(PAGE):
        family = shown.get(name.removesuffix("_total"))
        if family is None:
            continue  # has no sample in this session
        assert family.type == kind, name
        told = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert told <= set(re.findall(r"`(\w+)`", labels)), name
    undocumented = {name for name in shown if not name.endswith("_created")} - {
        name.removesuffix("_total") for name, _, _ in ROW.findall(PAGE)
    }
    assert undocumented == set()


def test_no_metric_is_documented_that_is_gone() -> None:
    from telemetry.meters import Meters

    made = {metric.name for metric in Meters("m", []).registry.collect()}
    documented = {name.removesuffix("_total") for name, _, _ in ROW.findall(PAGE)}
    assert documented == made | {PREFIX + name for name in HELP}


def test_prometheus_may_send_the_key_as_a_bearer_token(stub: OpenAIStub, tmp_path: Path) -> None:
    with talking(f"sqlite:///{tmp_path}/x.db", stub) as client:
        del client.headers["X-Internal-Auth"]
        token = {"Authorization": f"Bearer {KEY}"}
        assert client.get("/metrics", headers=token).status_code == 200
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/sessions", headers=token).status_code == 401
