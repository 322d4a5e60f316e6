"""What both clients show of the cost of a session, from the rows of a real server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from client.session import Session, session_cost
from client.time_limit import TimeLimit
from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_server

COUNTED = {"prompt_tokens": 800, "completion_tokens": 20, "total_tokens": 820}


def cost_of(folder: Path, stub: OpenAIStub, model: str, *usages: dict[str, Any]) -> dict[str, str]:
    stub.script([{"text": "ok", "usage": COUNTED | usage} for usage in usages])
    settings: dict[str, Any] = {"llm_model": model, "llm_proxy_url": stub.url, "db_url": f"sqlite:///{folder}/test.db"}
    with running_server(**settings) as url, api_client(url) as client:
        ide = Ide(client)
        for _ in usages:
            ide.say("Explain", agent_type="ask")
        key = client.headers.get("X-Internal-Auth")
        with closing(Session(url, key, TimeLimit(20), ide.session_id)) as session:
            return dict(session_cost(session))


def test_cached_tokens_are_summed_and_priced(tmp_path: Path, stub: OpenAIStub) -> None:
    shown = cost_of(tmp_path, stub, "gpt-4.1", {"prompt_tokens_details": {"cached_tokens": 600}}, {})
    assert shown["prompt tokens"] == "1600"
    assert shown["cached prompt tokens"] == "600"
    assert shown["cost"] == f"${(1000 * 2.00 + 600 * 0.50 + 40 * 8.00) / 1_000_000:.4f}"


def test_a_model_without_a_price_is_named(tmp_path: Path, stub: OpenAIStub) -> None:
    shown = cost_of(tmp_path, stub, "our-model", {})
    assert (shown["requests"], shown["tokens"], shown["cost"]) == ("1", "820", "no price for our-model")
