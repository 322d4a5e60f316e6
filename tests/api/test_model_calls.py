"""What stands behind a session: its model calls, each with what it was given."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from llm.prices import cost
from prompts import render
from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.servers import Serve


def calls_of(ide: Ide) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ide.get("/model-calls")["model_calls"]
    return found


def test_a_model_call_is_rebuilt_as_it_was_sent(shared: Serve, stub: OpenAIStub) -> None:
    ide = Ide(shared())
    stub.script([{"tool": "read_file", "args": {"path": "a.txt"}, "id": "r1"}, {"text": "It says one."}])
    ide.say("Read a.txt", agent_type="coder", environment={"os": "linux"})
    ide.result("r1", {"success": True, "content": "one"})
    sent = stub.last_agent_request["messages"]
    first, second = calls_of(ide)
    assert (first["agent"], first["tool_calls"], first["retries"], first["outcome"]) == ("coder", 1, 0, "ok")
    detail = ide.get(f"/model-calls/{second['id']}")
    assert detail["cautions"] == []
    assert detail["prompt"] == sent[0]["content"]
    assert [m["content"] for m in detail["messages"]] == [m["content"] or "" for m in sent[1:]]
    assert [m["role"] for m in detail["messages"]] == ["user", "assistant", "tool"]
    assert detail["tools"] == [tool["function"]["name"] for tool in stub.last_agent_request["tools"]]
    assert detail["reply"]["content"] == "It says one."
    assert len(ide.get(f"/model-calls/{first['id']}")["messages"]) == 1


def test_a_prompt_file_that_has_changed_since_is_said(shared: Serve, stub: OpenAIStub) -> None:
    ide = Ide(shared())
    stub.script([{"text": "ok"}])
    ide.say("Explain", agent_type="ask")
    place = f"/model-calls/{calls_of(ide)[0]['id']}"
    text = render.prompt_text("ask")
    with render.variant(ask=text + "\nBe brief."):
        changed = ide.get(place)
    assert ["prompt file" in sentence for sentence in changed["cautions"]] == [True]
    assert changed["prompt"].endswith("Be brief.")
    assert ide.get(place)["cautions"] == []


def test_the_classifier_has_figures_only(shared: Serve, stub: OpenAIStub) -> None:
    ide = Ide(shared())
    stub.script([{"text": "ok"}])
    ide.say("What is a monad?")
    classifier = next(call for call in calls_of(ide) if call["purpose"] == "classifier")
    detail = ide.get(f"/model-calls/{classifier['id']}")
    assert (detail["prompt"], detail["messages"], len(detail["cautions"])) == (None, [], 1)


def test_model_calls_are_the_owners(shared: Serve, stub: OpenAIStub) -> None:
    ide, other = Ide(shared()), shared()
    stub.script([{"text": "ok"}])
    ide.say("Explain", agent_type="ask")
    assert other.get(f"{ide.path}/model-calls").status_code == 404
    assert other.get(f"{ide.path}/model-calls/{calls_of(ide)[0]['id']}").status_code == 404
    assert ide.client.get(f"{ide.path}/model-calls/nothing").json()["code"] == "not_found"


def test_a_change_is_told_to_its_owner_only(shared: Serve, stub: OpenAIStub) -> None:
    client, other = shared(), shared()
    stub.script([{"text": "ok"}] * 50)

    async def listen(reader: httpx.AsyncClient, told: list[str]) -> None:
        async with reader.stream("GET", "/pending/stream") as stream:
            async for line in stream.aiter_lines():
                told += [line[6:]] if line.startswith("data: ") else []

    async def both() -> tuple[list[str], list[str]]:
        mine: list[str] = []
        others: list[str] = []
        async with reader_of(client) as first, reader_of(other) as second, asyncio.timeout(30):
            tasks = [asyncio.create_task(listen(first, mine)), asyncio.create_task(listen(second, others))]
            while not (mine and others):  # noqa: ASYNC110 both are told at once of what changed before they listened
                await asyncio.sleep(0.05)
            while len(mine) < 2:
                await asyncio.to_thread(Ide(client).say, "Hi", agent_type="ask")
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return mine, others

    mine, others = asyncio.run(both())
    assert {line: json.loads(line) for line in mine} == {mine[0]: {"type": "changed"}}
    assert len(others) == 1


def reader_of(client: httpx.Client) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=client.base_url, headers=dict(client.headers), trust_env=False, timeout=30)


def test_a_model_call_shows_what_it_cost(shared: Serve, stub: OpenAIStub) -> None:
    ide = Ide(shared(llm_model="gpt-4.1"))
    stub.script([{"text": "ok"}])
    ide.say("Explain", agent_type="ask")
    call = calls_of(ide)[0]
    assert call["cost_usd"] == float(cost("gpt-4.1", call["prompt_tokens"], call["completion_tokens"]) or 0)
    assert call["cost_usd"]
    assert ide.get(f"/model-calls/{call['id']}")["cost_usd"] == call["cost_usd"]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens_details": {"cached_tokens": 600}},
        {"prompt_cache_hit_tokens": 600, "prompt_cache_miss_tokens": 200},
        {"prompt_tokens_details": None, "cache_read_input_tokens": 600},
        {"prompt_tokens_details": {"audio_tokens": 0}, "cached_tokens": 600},
    ],
    ids=["OpenAI", "DeepSeek", "Anthropic through a proxy", "Kimi"],
)
def test_cached_prompt_tokens_have_their_own_price(shared: Serve, stub: OpenAIStub, usage: dict[str, Any]) -> None:
    ide = Ide(shared(llm_model="gpt-4.1"))
    counted = {"prompt_tokens": 800, "completion_tokens": 20, "total_tokens": 820}
    stub.script([{"text": "ok", "usage": counted | usage}, {"text": "ok", "usage": counted}])
    ide.say("Explain", agent_type="ask")
    ide.say("Once more")
    first, second = calls_of(ide)
    assert (first["cached_tokens"], second["cached_tokens"]) == (600, None)
    assert first["cost_usd"] == pytest.approx((200 * 2.00 + 600 * 0.50 + 20 * 8.00) / 1_000_000)
    assert second["cost_usd"] == pytest.approx((800 * 2.00 + 20 * 8.00) / 1_000_000)


def test_a_model_without_a_price_has_no_cost(shared: Serve, stub: OpenAIStub) -> None:
    ide = Ide(shared())
    stub.script([{"text": "ok"}])
    ide.say("Explain", agent_type="ask")
    assert calls_of(ide)[0]["cost_usd"] is None
