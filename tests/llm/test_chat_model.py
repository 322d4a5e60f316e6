"""The client of a chat model as an object: cancelled, shared, closed and opened again, kept from remote servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from errors import ConfigurationError
from llm.streaming import Reply
from llm.transport import IDLE_CONNECTIONS
from tests.llm.asking import ASK, until
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import TOOLS


@pytest.mark.parametrize(
    "reply", [{"hang": True}, {"text": "a few words", "hang": True}, {"silent_s": 1000, "text": "x"}]
)
async def test_cancelling_closes_the_connection_before_the_reply_has_ended(
    stub: OpenAIStub, make_models: MakeModels, reply: Any
) -> None:
    stub.script([reply])
    models = make_models()
    await models.open()
    task = asyncio.create_task(models.reply(ASK, on_text=lambda _: None))
    await until(lambda: bool(stub.requests))
    await asyncio.sleep(0.05)
    assert stub.disconnected == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: stub.disconnected == 1)


async def test_connections_are_reused(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": "ok"}] * 5)
    models = make_models()
    for _ in range(5):
        await models.reply(ASK)
    assert len(any_stub.connections) == 1


async def test_many_calls_at_once(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "a b c d", "delay_s": 0.01}] * 40)
    models = make_models()
    replies: list[Reply] = await asyncio.gather(*(models.reply(ASK, tools=TOOLS) for _ in range(40)))
    assert {reply.text for reply in replies} == {"a b c d"}


@pytest.mark.skipif(sys.platform != "linux", reason="connections are counted in /proc")
async def test_few_idle_connections_are_kept(make_models: MakeModels) -> None:
    async with OpenAIStub() as stub:  # of its own: other clients keep connections to the one that tests share
        stub.script([{"text": "a b", "hold_after": 1}] * 40)
        models = make_models(proxy_url=stub.url)
        replies = asyncio.gather(*(models.reply(ASK) for _ in range(40)))
        await until(lambda: _open_connections(stub) == 40)
        stub.release()
        await replies
        await until(lambda: _open_connections(stub) <= IDLE_CONNECTIONS)


def _open_connections(stub: OpenAIStub) -> int:
    """How many TCP connections to the stub are established (`01`)."""
    port = f":{httpx.URL(stub.url).port:04X}"
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(port) and row[3] == "01" for row in rows)


@pytest.mark.parametrize("url", ["http://example.com:8002", "https://10.0.0.1/v1", "http://localhost.example.com"])
async def test_remote_models_are_refused_in_tests(make_models: MakeModels, url: str) -> None:
    with pytest.raises(ConfigurationError):
        await make_models(proxy_url=url).reply(ASK)


async def test_a_closed_client_opens_again(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "ok"}] * 2)
    models = make_models()
    await models.reply(ASK)
    await models.aclose()
    await models.aclose()
    assert (await models.reply(ASK)).text == "ok"


async def test_what_the_listener_raises_is_not_swallowed(stub: OpenAIStub, make_models: MakeModels) -> None:
    def listen(piece: str) -> None:
        raise KeyError(piece)

    stub.script([{"text": "one two", "hang": True}])
    with pytest.raises(KeyError):
        await make_models().reply(ASK, on_text=listen)
    await until(lambda: stub.disconnected == 1)


def test_the_client_is_cheap_to_import() -> None:
    code = (
        "import sys, llm.chat_model; heavy = {'langchain_openai', 'openai', 'tiktoken'}; "
        "found = (heavy | {'fastapi', 'storage', 'nodes', 'langgraph'}) & set(sys.modules); "
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
