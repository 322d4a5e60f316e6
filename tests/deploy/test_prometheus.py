"""The alerts and the dashboard, parsed by promtool and evaluated by a real Prometheus that scrapes a real server."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import KEY, api_client, running_app

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text("utf-8"))
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DEADLINE_S = 60
PANELS = {target["expr"]: panel["title"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
RULES = {
    rule["expr"]: rule["alert"]
    for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    for rule in group["rules"]
}
WITHOUT_DATA = {"PostgreSQL pool", "Refused and delivered"}
"""Panels about what the server of this test does not have."""
pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")), reason="Debian's prometheus is not installed"
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has scraped a server which had something to do."""
    folder = tmp_path_factory.mktemp("prometheus")
    with OpenAIStub() as stub:
        settings = {"db_url": f"sqlite:///{folder}/x.db", "llm_model": "scripted", "llm_proxy_url": stub.url}
        with running_app(**settings) as (_, url), api_client(url) as client:
            work(client, stub)
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            config = yaml.safe_load((CONFIGURATION).read_text("utf-8"))
            config["global"]["scrape_interval"] = "1s"
            config["rule_files"] = [str(ALERTS)]
            [job] = config["scrape_configs"]
            job["static_configs"] = [{"targets": [url.removeprefix("http://")]}]
            job["authorization"]["credentials_file"] = str(folder / "key")
            (folder / "key").write_text(KEY)
            (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
            command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
            command.append(f"--web.listen-address=127.0.0.1:{port}")
            with open(folder / "log", "w") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                address = f"http://127.0.0.1:{port}"
                wait_for_samples(address, process, folder / "log")
                yield address
            finally:
                process.terminate()
                process.wait(30)


def work(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client, 2, session_id="busy")
    stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}, {"text": "Done."}])
    ide.say("Write lib/a.dart")
    ide.decide("c1", "approve")
    ide.result("c1", "ok")


def query(address: str, expression: str) -> list[Any]:
    answer = httpx.get(f"{address}/api/v1/query", params={"query": expression}, trust_env=False, timeout=20)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["data"]["result"]
    return found


def wait_for_samples(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Two scrapes: a rate needs two samples."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if (
                int((query(address, "count_over_time(agent_runtime_info[1m])") or [{"value": [0, 0]}])[0]["value"][1])
                > 1
            ):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(RULES)} rules found" in done.stdout
    check = ["promtool", "check", "config", "--syntax-only", str(CONFIGURATION)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("expression", [*PANELS, *RULES])
def test_every_expression_is_evaluated(prometheus: str, expression: str) -> None:
    found = query(prometheus, expression)
    title = PANELS.get(expression)
    if (
        title is not None
        and title not in WITHOUT_DATA
        and "histogram" not in expression
        and "waiting" not in expression
    ):
        assert found, f"the panel {title} shows nothing: {expression}"


def test_every_metric_that_is_shown_or_alerted_on_exists(prometheus: str) -> None:
    documented = set(re.findall(r"^\| `(agent_runtime_\w+)`", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.M))
    used = set(re.findall(r"agent_runtime_\w+", " ".join([*PANELS, *RULES])))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} <= documented


def test_a_rule_fires_when_what_it_is_about_happens(tmp_path: Path) -> None:
    """promtool evaluates the rules over made-up series: each with its own trouble."""
    series = {
        "AgentRuntimeDown": ['up{job="agent-runtime", instance="a"}', "0x40"],
        "AgentRuntimeTurnsFail": ['agent_runtime_turns_total{outcome="failed"}', "0+10x40"],
        "AgentRuntimeModelLeftAlone": ['agent_runtime_breaker_open{model="m"}', "1x40"],
        "AgentRuntimeModelSlow": ['agent_runtime_llm_request_seconds_bucket{le="+Inf"}', "0+10x40"],
        "AgentRuntimeLogSlow": ['agent_runtime_log_append_seconds_bucket{le="+Inf"}', "0+10x40"],
        "AgentRuntimePoolExhausted": ['agent_runtime_db_pool{figure="waiting", instance="a"}', "3x40"],
        "AgentRuntimeApprovalsExpire": ['agent_runtime_approvals_total{decision="expired"}', "0+1x40"],
        "AgentRuntimeRefuses": ['agent_runtime_refused_total{limit="requests"}', "0+120x40"],
        "AgentRuntimeWebhooksFail": ['agent_runtime_webhooks_total{result="failed"}', "0+5x40"],
    }
    assert set(series) == set(RULES.values())
    beside = [
        {"series": 'agent_runtime_llm_request_seconds_bucket{le="300"}', "values": "0+1x40"},
        {"series": 'agent_runtime_llm_request_seconds_bucket{le="60"}', "values": "0x40"},
        {"series": 'agent_runtime_log_append_seconds_bucket{le="0.5"}', "values": "0x40"},
        {"series": 'agent_runtime_log_append_seconds_bucket{le="1"}', "values": "0+10x40"},
        {"series": 'agent_runtime_webhooks_total{result="delivered"}', "values": "0x40"},
    ]
    given = [*({"series": name, "values": values} for name, values in series.values()), *beside]
    test = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": given,
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                        "eval_time": "35m",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    }
                    for name in series
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
